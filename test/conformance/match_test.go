package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// match compares a decoded JSON document with what was promised, and tells where they differ. Of objects the promised fields
// are looked at, of lists whether there is an element for each promised one; an empty list promises an empty one. A
// string in angle brackets is a kind of value: <any>, <text>, <time>, <base64>, <number>.
func match(want, got any, at string) []string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %s, not an object", at, printed(got))}
		}
		var faults []string
		for _, name := range slices.Sorted(maps.Keys(want)) {
			value, there := object[name]
			if !there {
				faults = append(faults, fmt.Sprintf("%s has no %s", at, name))
				continue
			}
			faults = append(faults, match(want[name], value, at+"."+name)...)
		}
		return faults
	case []any:
		return matchList(want, got, at)
	case string:
		if kind, ok := strings.CutPrefix(want, "<"); ok && strings.HasSuffix(kind, ">") {
			return matchKind(strings.TrimSuffix(kind, ">"), got, at)
		}
	}
	if printed(want) != printed(got) {
		return []string{fmt.Sprintf("%s is %s, not %s", at, printed(got), printed(want))}
	}
	return nil
}

func matchList(want []any, got any, at string) (faults []string) {
	list, ok := got.([]any)
	if !ok || len(want) == 0 && len(list) > 0 {
		return []string{fmt.Sprintf("%s is %s, not a list of %d", at, printed(got), len(want))}
	}
	for i, element := range want {
		if !slices.ContainsFunc(list, func(v any) bool { return match(element, v, "") == nil }) {
			faults = append(faults, fmt.Sprintf("%s has nothing like element %d, %s, in %s", at, i, printed(element), printed(got)))
		}
	}
	return faults
}

func matchKind(kind string, got any, at string) []string {
	text, isText := got.(string)
	_, isNumber := got.(float64)
	fits := false
	switch kind {
	case "any":
		fits = true
	case "text":
		fits = isText && text != ""
	case "number":
		fits = isNumber
	case "time":
		_, err := time.Parse(time.RFC3339, text)
		fits = err == nil
	case "base64":
		data, err := base64.StdEncoding.DecodeString(text)
		fits = err == nil && len(data) > 0
	}
	if !fits {
		return []string{fmt.Sprintf("%s is %s, no %s", at, printed(got), kind)}
	}
	return nil
}

func printed(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const got = `{"a":1,"t":"2026-01-02T03:04:05Z","b":"AAAA","list":[{"k":"x","n":1},{"k":"y"}],"none":[],"null":null}`
	for name, tt := range map[string]struct {
		want  any
		fault string
	}{
		"fields":           {map[string]any{"a": 1, "null": nil}, ""},
		"another value":    {map[string]any{"a": 2}, ".a is 1, not 2"},
		"an absent field":  {map[string]any{"c": nil}, " has no c"},
		"kinds":            {map[string]any{"a": "<number>", "t": "<time>", "b": "<base64>", "list": "<any>"}, ""},
		"another kind":     {map[string]any{"b": "<time>"}, `.b is "AAAA", no time`},
		"unknown kind":     {map[string]any{"b": "<colour>"}, `.b is "AAAA", no colour`},
		"an element":       {map[string]any{"list": []any{map[string]any{"k": "y"}}}, ""},
		"no such element":  {map[string]any{"list": []any{map[string]any{"k": "z"}}}, ".list has nothing like element 0"},
		"an empty list":    {map[string]any{"none": []any{}}, ""},
		"no empty list":    {map[string]any{"list": []any{}}, ".list is"},
		"no list":          {map[string]any{"a": []any{}}, ".a is 1, not a list of 0"},
		"not an object":    {map[string]any{"a": map[string]any{}}, ".a is 1, not an object"},
		"the whole is not": {"<text>", "no text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var doc any
			if err := json.Unmarshal([]byte(got), &doc); err != nil {
				t.Fatal(err)
			}
			faults := strings.Join(match(tt.want, doc, ""), "; ")
			if tt.fault == "" && faults != "" || !strings.Contains(faults, tt.fault) {
				t.Errorf("faults %q, want %q", faults, tt.fault)
			}
		})
	}
}
