package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// maxFileSize is the longest configuration file in bytes.
const maxFileSize = 1 << 20

// parseFile reads a configuration file's text. The layer holds what could be
// understood, also when there are faults.
func parseFile(path string, text []byte, known map[string]setting) (layer, Faults) {
	var faults Faults
	whole := Origin{Source: FromFile, File: path}
	if len(text) > maxFileSize {
		faults.addf(whole, "longer than %d bytes", maxFileSize)
		return nil, faults
	}
	root, err := parseYAML(text)
	if err != nil {
		faults.add(whole, err)
		return nil, faults
	}
	if root == nil {
		return layer{}, nil
	}
	if root.Kind != yaml.MappingNode {
		whole.Line = root.Line
		faults.addf(whole, "must be a mapping of the form “name: value”")
		return nil, faults
	}
	values := layer{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at := Origin{Source: FromFile, File: path, Line: key.Line, Name: key.Value}
		if key.Kind == yaml.ScalarNode && key.Value == kmsSection {
			faults = append(faults, values.putSection(at, value, known)...)
			continue
		}
		if err := values.putNode(at, key, value, known); err != nil {
			faults.add(at, err)
		}
	}
	return values, faults
}

// kmsSection is the section of the settings that begin with kmsPrefix.
const kmsSection = "kms"

// putSection adds the lines of the section kms, in which the names stand without
// their prefix.
func (l layer) putSection(at Origin, section *yaml.Node, known map[string]setting) Faults {
	var faults Faults
	if isNull(section) {
		return nil
	}
	if section.Kind != yaml.MappingNode {
		faults.addf(at, "must be a section of lines of the form “name: value”")
		return faults
	}
	for i := 0; i+1 < len(section.Content); i += 2 {
		key, value := section.Content[i], section.Content[i+1]
		line := Origin{Source: FromFile, File: at.File, Line: key.Line, Name: kmsSection + "." + key.Value}
		inside := &yaml.Node{Kind: key.Kind, Value: kmsPrefix + key.Value}
		if err := l.putLine(line, inside, value, known); err != nil {
			faults.add(line, err)
		}
	}
	return faults
}

// putNode adds one line outside of sections.
func (l layer) putNode(at Origin, key, value *yaml.Node, known map[string]setting) error {
	if s, ok := known[key.Value]; ok && s.isKMS() {
		return fmt.Errorf("belongs into the section kms, as %s", s.lineName())
	}
	return l.putLine(at, key, value, known)
}

// parseYAML gives the root node of a text's single document, nil when the text
// holds nothing. Nodes are read as they stand: aliases are not followed.
func parseYAML(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var rest yaml.Node
	if err := dec.Decode(&rest); !errors.Is(err, io.EOF) {
		return nil, errors.New("holds more than one document")
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

// isNull reports whether a node is an absent value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// putLine adds one line of the file.
func (l layer) putLine(at Origin, key, value *yaml.Node, known map[string]setting) error {
	if key.Kind != yaml.ScalarNode {
		return errors.New("a name must be plain text")
	}
	s, ok := known[key.Value]
	switch {
	case !ok:
		return unknownName(key.Value, known)
	case s.secret:
		return fmt.Errorf("a secret does not belong into this file; name a file that holds it with %s-file", s.lineName())
	case s.noFile:
		return fmt.Errorf("cannot be set in a file; use --%s or %s", s.name, Variable(s.name))
	}
	if _, twice := l[key.Value]; twice {
		return errors.New("given twice")
	}
	values, err := nodeValues(value, s.list)
	if err != nil {
		return err
	}
	l[key.Value] = given{values: values, origin: at}
	return nil
}

// nodeValues gives the text of a value, or of the values of a list.
func nodeValues(n *yaml.Node, list bool) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		v, err := nodeValue(n)
		return []string{v}, err
	}
	if !list {
		return nil, errors.New("takes one value, not a list")
	}
	values := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		v, err := nodeValue(item)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func nodeValue(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", errors.New("must be plain text, a number or a truth value")
	case isNull(n):
		return "", errors.New("has no value")
	}
	return n.Value, nil
}

// unknownName is the error for a name that no setting has, with the setting
// that was probably meant.
func unknownName(name string, known map[string]setting) error {
	if near := nearest(name, known); near != "" {
		return fmt.Errorf("no such setting; did you mean %s?", known[near].lineName())
	}
	return errors.New("no such setting")
}
