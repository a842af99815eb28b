package s3xml

// Walk scans a whole document and lists what it finds: "<name" for a start, ">"
// for an end, "=text" for text. rest is the document without its declaration. It
// is for the tests of this package.
func Walk(src []byte) (trace []string, rest []byte, err error) {
	s := &scanner{src: src}
	if err := s.skipDeclaration(); err != nil {
		return nil, nil, err
	}
	rest = s.src[s.pos:]
	for {
		t, err := s.next()
		switch {
		case err != nil:
			return nil, rest, err
		case t.kind == tokenEOF && len(s.open) > 0:
			return nil, rest, s.malformed("element without end")
		case t.kind == tokenEOF:
			return trace, rest, nil
		case t.kind == tokenStart:
			trace = append(trace, "<"+t.name)
		case t.kind == tokenEnd:
			trace = append(trace, ">")
		default:
			trace = AppendText(trace, t.text)
		}
	}
}

// AppendText adds text to a trace and joins it to the text before it.
func AppendText(trace []string, text string) []string {
	switch n := len(trace); {
	case text == "":
	case n > 0 && trace[n-1][0] == '=':
		trace[n-1] += text
	default:
		trace = append(trace, "="+text)
	}
	return trace
}
