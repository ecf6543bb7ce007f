// Package yamlfile decodes YAML that a stranger may have written, and encodes texts of strangers.
package yamlfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
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

// oneLine is a parser's error without its picture of the file, and without Go's names of types.
func oneLine(err error) error {
	var at interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &at) || at.GetToken() == nil {
		if err != nil && strings.HasPrefix(err.Error(), "time: ") { // the library does not say where
			return fmt.Errorf("want a duration such as 10m: %w", err)
		}
		return err
	}
	text := at.GetMessage()
	var wrongType *yaml.TypeError
	var wrongNode *yaml.UnexpectedNodeTypeError
	var overflow *yaml.OverflowError
	if errors.As(err, &wrongType) {
		text = want(wrongType.DstType) + ", not " + shown(at.GetToken())
	} else if errors.As(err, &wrongNode) {
		what := map[ast.NodeType]string{ast.MappingType: "keys and values", ast.SequenceType: "a list"}
		text = "want " + cmp.Or(what[wrongNode.Expected], "something else") + ", not " + shown(at.GetToken())
	} else if errors.As(err, &overflow) {
		text = want(overflow.DstType) + ", not " + oneWord(overflow.SrcNum, "such a number")
	}
	if text != at.GetMessage() {
		text = key(at.GetToken()) + text
	}
	return fmt.Errorf("line %d: %s", at.GetToken().Position.Line, text[:min(len(text), maxMessage)])
}

// want says what a value of a type is to a person.
func want(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "want a duration such as 10m"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "want a whole number"
	case reflect.Uint, reflect.Uint64:
		return "want a whole number from 0 on"
	case reflect.Float64:
		return "want a number"
	case reflect.Bool:
		return "want true or false"
	case reflect.String:
		return "want a text"
	case reflect.Slice:
		return "want a list"
	}
	return "want keys and values"
}

// shown is the value that begins with a token.
func shown(t *token.Token) string {
	switch t.Type {
	case token.SequenceStartType, token.SequenceEntryType:
		return "a list"
	case token.MappingStartType, token.MappingValueType:
		return "keys and values"
	}
	return oneWord(t.Value, "a text")
}

// oneWord is a stranger's word if it is one and short, else what stands in for it.
func oneWord(word, other string) string {
	if len(word) > 40 || strconv.Quote(word) != `"`+word+`"` || strings.ContainsAny(word, " |>") {
		return other
	}
	return word
}

// key is the key before a value: "epochs: "; "" where the value is in a list.
func key(value *token.Token) string {
	colon := value.Prev
	if colon == nil || colon.Type != token.MappingValueType || colon.Prev == nil {
		return ""
	}
	return oneWord(colon.Prev.Value, "a key") + ": "
}

// Place says on which line of data the value of a key stands: "line 3: ". The key is as train.arch or formats[1]. If it
// is not there, the line is that of the section around it; "" where that is not there either.
func Place(data []byte, key string) string {
	for ; key != ""; key = key[:max(0, strings.LastIndexAny(key, ".["))] {
		path, err := yaml.PathString("$." + key)
		if err != nil {
			continue
		}
		node, err := path.ReadNode(bytes.NewReader(data))
		if err == nil && node != nil && node.GetToken() != nil {
			return fmt.Sprintf("line %d: ", node.GetToken().Position.Line)
		}
	}
	return ""
}
