package config

// maxTypos is the number of edits within which a name is taken for a
// misspelling of another.
const maxTypos = 2

// nearest gives the setting whose name differs from name by the fewest edits,
// and by no more than maxTypos and a third of its length; "" when there is none.
func nearest(name string, known map[string]setting) string {
	best, bestEdits := "", maxTypos+1
	for candidate := range known {
		if abs(len(candidate)-len(name)) > maxTypos {
			continue
		}
		n := edits(name, candidate)
		if n*3 > len(candidate) {
			continue
		}
		if n < bestEdits || n == bestEdits && candidate < best {
			best, bestEdits = candidate, n
		}
	}
	return best
}

// edits counts the single-byte insertions, deletions and replacements that
// make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func abs(n int) int { return max(n, -n) }
