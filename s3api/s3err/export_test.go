package s3err

// TableSize is for the tests of this package.
func TableSize() int { return len(table) }
