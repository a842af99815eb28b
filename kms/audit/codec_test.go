package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/kms"
)

// largest is an Event of which every field is at its limit, of a character whose
// form in a line is longest.
func largest(char string) Event {
	fill := func(n int) string { return strings.Repeat(char, n/len(char)) }
	uid := ^uint32(0)
	e := Event{
		Caller: caller.Caller{Principal: fill(caller.MaxPrincipal), Source: fill(caller.MaxSource), UserAgent: fill(caller.MaxUserAgent),
			RequestID: fill(caller.MaxRequestID), UID: &uid},
		Operation: Operation(fill(MaxWord)), Outcome: Outcome(fill(MaxWord)), KeyID: fill(MaxKeyID), KeyVersion: ^uint32(0),
		Instance: cipher.InstanceID{15: 1}, Cached: true, Bucket: fill(MaxBucket), Object: "o",
	}
	for n := range caller.MaxPairs {
		e.Caller.Pairs = append(e.Caller.Pairs, caller.Pair{
			Name: fmt.Sprint(n) + strings.Repeat("n", caller.MaxPairName-1), Value: fill(caller.MaxPairValue),
		})
	}
	return e
}

func TestLinesRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		line line
	}{
		{"begin", line{Kind: kindBegin, Format: 1, Log: logID{1}, File: 3, Prev: sum{9}}},
		{"start", line{Kind: kindStart, Clean: true, Tail: 1, CutLines: 2, CutBytes: 3}},
		{"prune", line{Kind: kindPrune, File: 3, Last: 99}},
		{"stop", line{Kind: kindStop}},
		{"least event", line{Kind: kindEvent}},
		{"event", line{Kind: kindEvent, Event: newEntry(event(1))}},
		{"control characters", line{Kind: kindEvent, Event: newEntry(largest("\x1b"))}},
		{"C1 characters", line{Kind: kindEvent, Event: newEntry(largest("\u009b"))}},
		{"quotes", line{Kind: kindEvent, Event: newEntry(largest(`"`))}},
		{"wide characters", line{Kind: kindEvent, Event: newEntry(largest("𝄞"))}},
		{"line separators", line{Kind: kindEvent, Event: newEntry(Event{Bucket: "a\u2028\u2029\n\r\x7f\x00\\<&>"})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.line.Seq = ^uint64(0)
			c.line.Time = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
			body := bodyOf(&c.line)
			got, err := parseBody(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.line, got); diff != "" {
				t.Errorf("read again (-want +got):\n%s", diff)
			}
			whole := appendTail(body, &sum{1})
			if len(whole) > maxLine {
				t.Errorf("the line has %d bytes, limit %d", len(whole), maxLine)
			}
			if !json.Valid(whole) || strings.ContainsFunc(string(whole[:len(whole)-1]), func(r rune) bool {
				return r < 0x20 || r >= 0x7f && r < 0xa0
			}) {
				t.Errorf("not one line of printable JSON: %q", whole)
			}
			if _, mac, err := splitLine(whole[:len(whole)-1]); err != nil || mac != (sum{1}) {
				t.Errorf("splitLine = %x, %v", mac, err)
			}
		})
	}
}

func TestLinesRefused(t *testing.T) {
	t.Parallel()
	const good = `{"seq":1,"time":"2026-01-02T03:04:05.000000000Z","type":"event","op":"a","outcome":"b"`
	if _, err := parseBody([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, body string }{
		{"empty", ""},
		{"a blank", strings.Replace(good, ",", ", ", 1)},
		{"another order", strings.Replace(good, `"op":"a","outcome":"b"`, `"outcome":"b","op":"a"`, 1)},
		{"a field twice", good + `,"op":"a"`},
		{"an unknown field", good + `,"x":1`},
		{"an empty field", good + `,"bucket":""`},
		{"a field of another type", good + `,"file":1`},
		{"a number with a sign", strings.Replace(good, `:1,`, `:-1,`, 1)},
		{"a number with a zero", strings.Replace(good, `:1,`, `:01,`, 1)},
		{"a number with a point", strings.Replace(good, `:1,`, `:1.0,`, 1)},
		{"a needless escape", strings.Replace(good, `"a"`, `"\u0061"`, 1)},
		{"not UTF-8", strings.Replace(good, `"a"`, "\"\xff\"", 1)},
		{"a time zone", strings.Replace(good, `Z"`, `+00:00"`, 1)},
		{"a short time", strings.Replace(good, `.000000000`, ``, 1)},
		{"no month 13", strings.Replace(good, `2026-01`, `2026-13`, 1)},
		{"another type", strings.Replace(good, `"event"`, `"other"`, 1)},
		{"pairs unsorted", good + `,"pairs":{"b":"","a":""}`},
		{"a pair twice", good + `,"pairs":{"a":"","a":""}`},
		{"nine pairs", good + `,"pairs":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"","8":"","9":""}`},
		{"an instance of zeros", good + `,"instance":"00000000000000000000000000000000"`},
		{"an instance in capitals", good + `,"instance":"AA000000000000000000000000000000"`},
		{"a log id in capitals", `{"seq":1,"time":"2026-01-02T03:04:05.000000000Z","type":"begin","format":1,"log":"` +
			strings.Repeat("A", 32) + `","file":1,"prev":"` + strings.Repeat("0", 64) + `"`},
		{"an array", `[1`},
		{"more behind it", good + `}{"a":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if l, err := parseBody([]byte(c.body)); !errors.Is(err, errLine) {
				t.Errorf("parseBody = %+v, %v", l, err)
			}
		})
	}
}

func TestClipping(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1000)
	nine := make([]caller.Pair, 9)
	for i := range nine {
		nine[i] = caller.Pair{Name: fmt.Sprint("n", i), Value: "v"}
	}
	for _, c := range []struct {
		name  string
		event Event
		want  Entry
	}{
		{"long", Event{Bucket: long, Operation: Operation("x" + long)},
			Entry{Bucket: long[:MaxBucket], Operation: ("x" + long)[:MaxWord-1], Clipped: true}},
		{"not UTF-8", Event{KeyID: "a\xff\xfeb"}, Entry{KeyID: "a?b", Clipped: true}},
		{"broken at the limit", Event{KeyID: strings.Repeat("\xf0", 300)}, Entry{KeyID: "?", Clipped: true}},
		{"pairs sorted", Event{Caller: caller.Caller{Pairs: []caller.Pair{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}}}},
			Entry{Pairs: []caller.Pair{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}}},
		{"a pair twice", Event{Caller: caller.Caller{Pairs: []caller.Pair{{Name: "b", Value: "2"}, {Name: "b", Value: "1"}}}},
			Entry{Pairs: []caller.Pair{{Name: "b", Value: "2"}}, Clipped: true}},
		{"a foreign name", Event{Caller: caller.Caller{Pairs: []caller.Pair{{Name: "A b", Value: "2"}, {Name: "", Value: "1"}}}},
			Entry{Pairs: []caller.Pair{{Name: "__b", Value: "2"}}, Clipped: true}},
		{"nine pairs", Event{Caller: caller.Caller{Pairs: nine}}, Entry{Pairs: nine[:8], Clipped: true}},
		{"no pair is left", Event{Caller: caller.Caller{Pairs: nine[:0:0]}}, Entry{}},
		{"a pair without a name", Event{Caller: caller.Caller{Pairs: make([]caller.Pair, 1)}}, Entry{Clipped: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, newEntry(c.event)); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
	if e := newEntry(largest("x")); e.Clipped {
		t.Error("an event at its limits was cut")
	}
	if e := newEntry(largest("x")); caller.CheckPairs(e.Pairs) != nil {
		t.Errorf("pairs at their limits: %v", caller.CheckPairs(e.Pairs))
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want Outcome
	}{
		{nil, Success},
		{errors.New("x"), Internal},
		{context.Canceled, Cancelled},
		{&kms.Error{Kind: kms.Unavailable, Err: context.DeadlineExceeded}, Timeout},
		{&kms.Error{Kind: kms.Denied}, AccessDenied},
		{fmt.Errorf("get: %w", kms.NotFound), KeyNotFound},
		{kms.InUse, KeyStillReferenced},
		{kms.Crypto, Cryptographic},
		{kms.Unavailable, Backend},
	} {
		if got := OutcomeOf(c.err); got != c.want {
			t.Errorf("OutcomeOf(%v) = %s, want %s", c.err, got, c.want)
		}
	}
	for _, k := range kms.Kinds() {
		if got := OutcomeOf(k); (got == Internal) != (k == kms.Other) {
			t.Errorf("OutcomeOf(%v) = %s", k, got)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	k, err := newKeys(testKey(t))
	do(t, err)
	good := state{Clean: true, Log: logID{1}, First: 2, Base: Head{5, sum{6}}, Last: 3, Offset: 700, Head: Head{8, sum{9}},
		Time: time.Unix(12, 34)}
	b := k.encodeState(&good)
	got, err := k.decodeState(b)
	if diff := cmp.Diff(good, got); err != nil || diff != "" {
		t.Errorf("read again: %v (-want +got):\n%s", err, diff)
	}
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := k.decodeState(b); !errors.Is(err, ErrState) && !errors.Is(err, ErrNewer) {
			t.Errorf("bit %d changed: %v", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	for n := range b {
		if _, err := k.decodeState(b[:n]); !errors.Is(err, ErrState) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for _, bad := range []state{{First: 0, Last: 1}, {First: 2, Last: 1}, {First: 1, Last: maxFile + 1},
		{First: 1, Last: 1, Offset: -1}, {First: 1, Last: 1, Base: Head{Seq: 2}, Head: Head{Seq: 1}}} {
		if _, err := k.decodeState(k.encodeState(&bad)); !errors.Is(err, ErrState) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	h := Head{12, sum{1, 2, 3}}
	if got, err := ParseHead(h.String()); got != h || err != nil {
		t.Errorf("ParseHead(%s) = %v, %v", h, got, err)
	}
	for _, s := range []string{"", "1", "1:", ":" + strings.Repeat("0", 64), "01:" + strings.Repeat("0", 64),
		"+1:" + strings.Repeat("0", 64), "1:" + strings.Repeat("A", 64), "1:" + strings.Repeat("0", 66), h.String() + " "} {
		if got, err := ParseHead(s); err == nil {
			t.Errorf("ParseHead(%q) = %v", s, got)
		}
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{1, 42, maxFile} {
		if got, ok := fileNumber(fileName(n)); got != n || !ok {
			t.Errorf("fileNumber(%s) = %d, %v", fileName(n), got, ok)
		}
	}
	for _, s := range []string{"", "audit-1.jsonl", "audit-0000000000.jsonl", "audit-00000000001.jsonl", "audit-+000000001.jsonl",
		"audit-0000000001.jsonl.new.tmp", "x-0000000001.jsonl"} {
		if n, ok := fileNumber(s); ok {
			t.Errorf("fileNumber(%q) = %d", s, n)
		}
	}
}

// FuzzLine reads arbitrary lines. What is accepted is written again byte for byte;
// and no other line than the one that was written continues the chain.
func FuzzLine(f *testing.F) {
	k, err := newKeys(testKey(f))
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range []line{
		{Kind: kindBegin, Format: 1, File: 1}, {Kind: kindStart, Clean: true}, {Kind: kindPrune, File: 1, Last: 2},
		{Kind: kindStop}, {Kind: kindEvent, Event: newEntry(event(1))}, {Kind: kindEvent, Event: newEntry(largest("\u009b"))},
	} {
		l.Seq = 1
		body := bodyOf(&l)
		c := k.chainFrom(Head{})
		mac := c.sum(body)
		whole := appendTail(body, &mac)
		f.Add(whole[:len(whole)-1], "bucket", "value")
	}
	f.Fuzz(func(t *testing.T, raw []byte, bucket, value string) {
		if body, mac, err := splitLine(raw); err == nil {
			if got := appendTail(append([]byte(nil), body...), &mac); string(got) != string(raw)+"\n" {
				t.Fatalf("%q is written again as %q", raw, got)
			}
			if l, err := parseBody(body); err == nil {
				if again := bodyOf(&l); string(again) != string(body) || !json.Valid(raw) {
					t.Fatalf("%q is written again as %q", body, again)
				}
			}
		}
		e := newEntry(Event{Bucket: bucket, Caller: caller.Caller{UserAgent: value, Pairs: []caller.Pair{{Name: value, Value: bucket}}}})
		if !utf8.ValidString(e.Bucket) || len(e.Bucket) > MaxBucket || len(e.UserAgent) > caller.MaxUserAgent {
			t.Fatalf("%q is beyond the limits", e.Bucket)
		}
		c := k.chainFrom(Head{})
		written := addLine(nil, &c, line{Kind: kindEvent, Event: e})
		check := checker{chain: k.chainFrom(Head{}), line: 1}
		l, err := check.next(written[:len(written)-1])
		if diff := cmp.Diff(e, l.Event); err != nil || diff != "" {
			t.Fatalf("read again: %v (-want +got):\n%s", err, diff)
		}
		check = checker{chain: k.chainFrom(Head{}), line: 1}
		if _, err := check.next(raw); err == nil && string(raw)+"\n" != string(written) && !genuine(k, raw) {
			t.Fatalf("%q continues the chain", raw)
		}
	})
}

// genuine reports whether a line carries its own MAC, as the seeds do.
func genuine(k *keys, raw []byte) bool {
	body, mac, err := splitLine(raw)
	c := k.chainFrom(Head{})
	return err == nil && c.sum(body) == mac
}
