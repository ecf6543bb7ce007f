// Package yamlfile decodes YAML that a stranger may have written, and encodes texts of strangers.
package yamlfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// maxNesting bounds how deeply a configuration's brackets nest. The YAML parser's memory grows with its square.
const maxNesting = 100

// Decode decodes one YAML document into v. It refuses what fills memory from few bytes (aliases, deep brackets), and
// what would be ignored: a second document.
func Decode(data []byte, v any, o ...yaml.DecodeOption) error {
	depth, documents, content, ended := 0, 1, false, false
	line, entries := 0, 0 // dashes nest in one line as brackets do
	for _, t := range lexer.Tokenize(string(data)) {
		switch t.Type {
		case token.AliasType, token.AnchorType:
			return fmt.Errorf("line %d: anchors and aliases are not read. Try: write the value out", t.Position.Line)
		case token.DocumentHeaderType:
			if content {
				documents++
			}
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Line != line {
				line, entries = t.Position.Line, 0
			}
			entries++
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
		if ended && t.Type != token.CommentType {
			documents++
		}
		ended = ended || t.Type == token.DocumentEndType
		content = content || t.Type != token.DocumentHeaderType && t.Type != token.CommentType
		switch {
		case entries > maxNesting:
			return fmt.Errorf("line %d: more than %d lists inside each other", t.Position.Line, maxNesting)
		case depth > maxNesting:
			return fmt.Errorf("line %d: more than %d brackets inside each other", t.Position.Line, maxNesting)
		case documents > 1:
			return errors.New("it holds a second document, after --- or ...: only one is read")
		}
	}
	return oneLine(yaml.UnmarshalWithOptions(data, v, o...))
}

// Encode encodes v. It quotes every text that a terminal would not print as it is, and those that the library would
// write but not read again: with a tab, a carriage return or a question mark in front.
func Encode(v any) ([]byte, error) {
	return yaml.MarshalWithOptions(v, yaml.CustomMarshaler(func(s string) ([]byte, error) {
		if quoted := strconv.Quote(s); len(quoted) > len(s)+2 || strings.HasPrefix(s, "?") {
			return []byte(quoted), nil
		}
		return yaml.Marshal(s)
	}))
}

// maxMessage bounds an error's text in bytes. The parser quotes what it does not understand.
const maxMessage = 200

// oneLine is a parser's error without its picture of the file.
func oneLine(err error) error {
	var at interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &at) || at.GetToken() == nil {
		return err
	}
	text := at.GetMessage()
	return fmt.Errorf("line %d: %s", at.GetToken().Position.Line, text[:min(len(text), maxMessage)])
}
