package s3xml_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

func oneObject(inner string) string { return "<Delete><Object>" + inner + "</Object></Delete>" }

func TestReadDelete(t *testing.T) {
	t.Parallel()
	keys := func(names ...string) *s3xml.Delete {
		d := &s3xml.Delete{}
		for _, n := range names {
			d.Objects = append(d.Objects, s3xml.DeleteObject{Key: n})
		}
		return d
	}
	one := oneObject
	tests := []struct {
		name, in string
		want     *s3xml.Delete
	}{
		{"smallest", one("<Key>a</Key>"), keys("a")},
		{"with a namespace", `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a</Key></Object></Delete>`, keys("a")},
		{"with another namespace", `<Delete xmlns='urn:x'><Object><Key>a</Key></Object></Delete>`, keys("a")},
		{"with prefixes", `<s3:Delete xmlns:s3="urn:x"><s3:Object><s3:Key a="&lt;">a</s3:Key ></s3:Object></s3:Delete>`, keys("a")},
		{"with a declaration", "<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes'?>\n" + one("<Key>a</Key>") + "\n", keys("a")},
		{"version 1.1", "<?xml version='1.1'?>" + one("<Key>a</Key>"), keys("a")},
		{"byte order mark", "\xEF\xBB\xBF" + one("<Key>a</Key>"), keys("a")},
		{"comments and white space", "<!-- x --> <Delete>\n<!---->\t<Object> <Key>a<!-- > -->b</Key>\r\n</Object></Delete><!-- y -->", keys("ab")},
		{"entities", one("<Key>&lt;&gt;&amp;&apos;&quot;</Key>"), keys(`<>&'"`)},
		{"references", one("<Key>&#228;&#xE4;&#x1F98A;&#10;&#xd;&#x1;&#0;&#xFFFE;</Key>"), keys("ää🦊\n\r\x01\x00\uFFFE")},
		{"raw control characters", one("<Key>a\x01\x1fb</Key>"), keys("a\x01\x1fb")},
		{"newlines stay", one("<Key>a\r\nb\rc\nd</Key>"), keys("a\r\nb\rc\nd")},
		{"newlines stay beside references", one("<Key>a\r\n&amp;\r&#13;</Key>"), keys("a\r\n&\r\r")},
		{"blanks of a key stay", one("<Key> a </Key>"), keys(" a ")},
		{"newlines in CDATA", one("<Key><![CDATA[a\r\nb\r]]></Key>"), keys("a\r\nb\r")},
		{"CDATA pieces", one("<Key>a<![CDATA[<&>]]]]><![CDATA[>]]>b</Key>"), keys("a<&>]]>b")},
		{"quiet", "<Delete><Object><Key>a</Key></Object><Quiet> true\n</Quiet></Delete>", &s3xml.Delete{Quiet: true, Objects: keys("a").Objects}},
		{"not quiet, first", "<Delete><Quiet>0</Quiet><Object><Key>a</Key></Object></Delete>", keys("a")},
		{"conditions", one("<Key>a</Key><VersionId>v</VersionId><ETag>&quot;e&quot;</ETag><LastModifiedTime>t</LastModifiedTime><Size>5</Size>"),
			&s3xml.Delete{Objects: []s3xml.DeleteObject{{Key: "a", VersionID: "v", ETag: `"e"`, LastModifiedTime: "t", Size: "5"}}}},
		{"empty version", one("<Key>a</Key><VersionId/>"), keys("a")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s3xml.ReadDelete(iotest.OneByteReader(strings.NewReader(tt.in)))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestDeleteAgainstSchema: these are well-formed, and no Delete.
func TestDeleteAgainstSchema(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in string }{
		{"no object", "<Delete></Delete>"},
		{"empty root", "<Delete/>"},
		{"no key", oneObject("<VersionId>v</VersionId>")},
		{"empty key", oneObject("<Key></Key>")},
		{"key twice", oneObject("<Key>a</Key><Key>b</Key>")},
		{"quiet twice", "<Delete><Quiet>true</Quiet><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>"},
		{"quiet of neither", "<Delete><Quiet>yes</Quiet><Object><Key>a</Key></Object></Delete>"},
		{"unknown element", "<Delete><Object><Key>a</Key></Object><Bypass>true</Bypass></Delete>"},
		{"unknown condition", oneObject("<Key>a</Key><IfMatch>e</IfMatch>")},
		{"name in another case", oneObject("<key>a</key>")},
		{"element in a key", oneObject("<Key>a<b/></Key>")},
		{"other root", "<Remove><Object><Key>a</Key></Object></Remove>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d, err := s3xml.ReadDelete(strings.NewReader(tt.in)); !errors.Is(err, s3err.MalformedXML) || d != nil {
				t.Errorf("%v, %v", d, err)
			}
		})
	}
}

// TestNotWellFormed: none of these is a document, whatever the schema.
func TestNotWellFormed(t *testing.T) {
	t.Parallel()
	const good = "<Delete><Object><Key>a</Key></Object></Delete>"
	for _, in := range []string{
		" ", "x", "<", "<Delete", "<Delete>", good[:len(good)-1], good + "x", good + good, "x" + good,
		"</Delete>", "<Delete><Object></Delete></Object>", "<Delete><Object><Key>a</key></Object></Delete>",
		"<?xml version='1.0' encoding='utf-16'?>" + good, "<?xml version='1.0'" + good, "<?xmlx?>" + good, good + "<?pi x?>", " <?xml version='1.0'?>" + good,
		`<!DOCTYPE Delete [<!ENTITY k "a">]>` + strings.Replace(good, ">a<", ">&k;<", 1), "<!DOCTYPE Delete>" + good,
		strings.Replace(good, ">a<", ">&k;<", 1), strings.Replace(good, ">a<", ">&amp<", 1), strings.Replace(good, ">a<", ">&<", 1),
		strings.Replace(good, ">a<", ">&#xD800;<", 1), strings.Replace(good, ">a<", ">&#x110000;<", 1), strings.Replace(good, ">a<", ">&#;<", 1),
		strings.Replace(good, ">a<", ">&#-1;<", 1), strings.Replace(good, ">a<", ">&#x;<", 1), strings.Replace(good, ">a<", ">&#X41;<", 1),
		strings.Replace(good, ">a<", ">&#0000000000000041;<", 1), strings.Replace(good, ">a<", ">&LT;<", 1),
		strings.Replace(good, ">a<", ">]]><", 1), strings.Replace(good, ">a<", "><![CDATA[a<", 1), strings.Replace(good, ">a<", ">\xff<", 1),
		"<!-- -- -->" + good, "<!-- --x" + good, "<!-- --->" + good, "<!--" + good, good + "<!",
		"<Delete a>" + good[8:], "<Delete a=>" + good[8:], "<Delete a=b>" + good[8:], `<Delete a="b>` + good[8:], `<Delete a="<">` + good[8:], `<Delete a="&x;">` + good[8:],
		`<Delete a="b"c="d">` + good[8:], "<Delete / >" + good[8:], "< Delete>" + good[8:], "<1Delete>" + good[8:],
		strings.ReplaceAll(good, "Key", ":Key"), strings.ReplaceAll(good, "Key", "a:b:Key"), strings.ReplaceAll(good, "Key", "a:"),
		strings.ReplaceAll(good, "Key", strings.Repeat("a", 200)+":Key"), strings.ReplaceAll(good, "Key", "Kéy"),
	} {
		if d, err := s3xml.ReadDelete(strings.NewReader(in)); !errors.Is(err, s3err.MalformedXML) {
			t.Errorf("%q: %v, %v", in, d, err)
		}
	}
}

// TestCutDocument: no part of a document passes for the whole.
func TestCutDocument(t *testing.T) {
	t.Parallel()
	const whole = "<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId/></Object><Object><Key>b</Key></Object></Delete>"
	for n := 1; n < len(whole); n++ {
		if d, err := s3xml.ReadDelete(strings.NewReader(whole[:n])); !errors.Is(err, s3err.MalformedXML) {
			t.Errorf("%q: %v, %v", whole[:n], d, err)
		}
	}
}

func TestReadLimits(t *testing.T) {
	t.Parallel()
	object := "<Object><Key>" + strings.Repeat("&#x1f;", 1024) + "</Key></Object>"
	part := "<Part><PartNumber>%d</PartNumber><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><ChecksumSHA256>" + strings.Repeat("A", 44) + "</ChecksumSHA256></Part>"
	var parts strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&parts, part, i+1)
	}
	d, err := s3xml.ReadDelete(strings.NewReader("<Delete>" + strings.Repeat(object, 1000) + "</Delete>"))
	if err != nil || len(d.Objects) != 1000 || d.Objects[999].Key != strings.Repeat("\x1f", 1024) {
		t.Errorf("the largest legal Delete: %v", err)
	}
	c, err := s3xml.ReadCompleteMultipartUpload(strings.NewReader("<CompleteMultipartUpload>" + parts.String() + "</CompleteMultipartUpload>"))
	if err != nil || len(c.Parts) != 10000 || c.Parts[9999].Number != 10000 {
		t.Errorf("the largest legal CompleteMultipartUpload: %v", err)
	}
	_, err = s3xml.ReadDelete(strings.NewReader("<Delete>" + strings.Repeat("<Object><Key>a</Key></Object>", 1001) + "</Delete>"))
	if !errors.Is(err, s3err.MalformedXML) {
		t.Errorf("1,001 keys: %v", err)
	}
	_, err = s3xml.ReadCompleteMultipartUpload(strings.NewReader("<CompleteMultipartUpload>" + parts.String() + fmt.Sprintf(part, 1) + "</CompleteMultipartUpload>"))
	if !errors.Is(err, s3err.MalformedXML) {
		t.Errorf("10,001 parts: %v", err)
	}
	counted := &countingReader{r: strings.NewReader("<Delete>" + strings.Repeat(" ", 16<<20))}
	_, err = s3xml.ReadDelete(counted)
	if !errors.Is(err, s3err.MaxMessageLengthExceeded) || counted.n > 9<<20 {
		t.Errorf("too long: %v after %d bytes", err, counted.n)
	}
	_, err = s3xml.ReadDelete(strings.NewReader(strings.Repeat("<Delete>", 100000)))
	if !errors.Is(err, s3err.MalformedXML) {
		t.Errorf("deep: %v", err)
	}
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestReadCompleteMultipartUpload(t *testing.T) {
	t.Parallel()
	one := func(inner string) string {
		return "<CompleteMultipartUpload><Part>" + inner + "</Part></CompleteMultipartUpload>"
	}
	tests := []struct {
		name, in string
		want     *s3xml.CompletePart
		code     s3err.Code
	}{
		{"smallest", one("<PartNumber>1</PartNumber><ETag>e</ETag>"), &s3xml.CompletePart{Number: 1, ETag: "e"}, ""},
		{"other order, blanks", one("<ETag>\"e\"</ETag>\n<PartNumber> 7 </PartNumber>"), &s3xml.CompletePart{Number: 7, ETag: `"e"`}, ""},
		{"checksums", one("<ETag>e</ETag><ChecksumCRC32>1</ChecksumCRC32><ChecksumCRC32C>2</ChecksumCRC32C><ChecksumCRC64NVME>3</ChecksumCRC64NVME><ChecksumSHA1>4</ChecksumSHA1><ChecksumSHA256>5</ChecksumSHA256><PartNumber>1</PartNumber>"),
			&s3xml.CompletePart{Number: 1, ETag: "e", Checksums: s3xml.Checksums{CRC32: "1", CRC32C: "2", CRC64NVME: "3", SHA1: "4", SHA256: "5"}}, ""},
		{"number out of range", one("<PartNumber>2147483647</PartNumber><ETag>e</ETag>"), &s3xml.CompletePart{Number: 1<<31 - 1, ETag: "e"}, ""},
		{"number beyond 31 bits", one("<PartNumber>2147483648</PartNumber><ETag>e</ETag>"), nil, s3err.MalformedXML},
		{"number negative", one("<PartNumber>-1</PartNumber><ETag>e</ETag>"), nil, s3err.MalformedXML},
		{"number in hex", one("<PartNumber>0x1</PartNumber><ETag>e</ETag>"), nil, s3err.MalformedXML},
		{"no number", one("<ETag>e</ETag>"), nil, s3err.MalformedXML},
		{"number twice", one("<PartNumber>1</PartNumber><PartNumber>1</PartNumber><ETag>e</ETag>"), nil, s3err.MalformedXML},
		{"no ETag", one("<PartNumber>1</PartNumber>"), nil, s3err.MalformedXML},
		{"unknown element", one("<PartNumber>1</PartNumber><ETag>e</ETag><Size>1</Size>"), nil, s3err.MalformedXML},
		{"checksum that is not supported", one("<PartNumber>1</PartNumber><ETag>e</ETag><ChecksumXXHASH3>e</ChecksumXXHASH3>"), nil, s3err.NotImplemented},
		{"no part", "<CompleteMultipartUpload></CompleteMultipartUpload>", nil, s3err.MalformedXML},
		{"other child", "<CompleteMultipartUpload><Parts/></CompleteMultipartUpload>", nil, s3err.MalformedXML},
		{"empty", "", nil, s3err.MissingRequestBodyError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s3xml.ReadCompleteMultipartUpload(strings.NewReader(tt.in))
			if s3err.CodeOf(err) != tt.code {
				t.Fatalf("%v, want %q", err, tt.code)
			}
			if err == nil {
				if diff := cmp.Diff([]s3xml.CompletePart{*tt.want}, got.Parts); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestReadCreateBucketConfiguration(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		code           s3err.Code
	}{
		{"empty body", "", "", ""},
		{"empty document", "<CreateBucketConfiguration/>", "", ""},
		{"region", `<CreateBucketConfiguration xmlns="x"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`, "eu-west-1", ""},
		{"region twice", "<CreateBucketConfiguration><LocationConstraint/><LocationConstraint/></CreateBucketConfiguration>", "", s3err.MalformedXML},
		{"unknown element", "<CreateBucketConfiguration><Locations/></CreateBucketConfiguration>", "", s3err.MalformedXML},
		{"directory bucket", "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>", "", s3err.NotImplemented},
		{"tags", "<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>", "", s3err.NotImplemented},
		{"not XML", "{}", "", s3err.MalformedXML},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s3xml.ReadCreateBucketConfiguration(strings.NewReader(tt.in))
			if s3err.CodeOf(err) != tt.code {
				t.Fatalf("%v, want %q", err, tt.code)
			}
			if err == nil && got.LocationConstraint != tt.want {
				t.Errorf("%q, want %q", got.LocationConstraint, tt.want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	if _, err := s3xml.ReadDelete(iotest.ErrReader(broken)); !errors.Is(err, broken) || errors.Is(err, s3err.MalformedXML) {
		t.Errorf("broken reader: %v", err)
	}
	if _, err := s3xml.ReadDelete(strings.NewReader("")); !errors.Is(err, s3err.MissingRequestBodyError) {
		t.Errorf("empty body: %v", err)
	}
	o := s3xml.DeleteObject{Key: "a", VersionID: "v"}
	if o.Conditional() {
		t.Error("a version is a condition")
	}
	for _, o := range []s3xml.DeleteObject{{ETag: "e"}, {LastModifiedTime: "t"}, {Size: "0"}} {
		if !o.Conditional() {
			t.Errorf("%+v is no condition", o)
		}
	}
}
