package formats

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
)

func init() { Register(mispReader{}) }

// mispReader reads warning lists of MISP (github.com/MISP/misp-warninglists, schema.json): one JSON object with a list
// of entries and a few words about it. The publisher writes the keys in the order of the alphabet:
//
//	{"description": "…", "list": ["a.com", ".b.com"], "name": "…", "type": "hostname", "version": 1}
//
// An entry of a warning list is no sign of an attack, so its names are benign, whatever words the path has: a list is
// called automated-malware-analysis. Rows are the entries, counted from 1.
type mispReader struct{}

func (mispReader) Name() string { return "misp" }

// SourceOf is the folder of a list among warning lists: each has one of its own, or shares it with lists of its kind.
func (mispReader) SourceOf(p string) string {
	if first, _, nested := strings.Cut(p, "/"); nested && strings.Contains(first, "warninglist") {
		return path.Base(path.Dir(p))
	}
	return ""
}

// mispKeys are the keys of the schema, and those that some lists have besides.
var mispKeys = []string{"category", "description", "icon", "list", "matching_attributes", "name", "type", "version"}

func (mispReader) Match(_ string, head []byte) (int, string) {
	if _, why := sniffWarningList(head); why != "" {
		return 0, why
	}
	return 95, ""
}

// sniffWarningList reports whether a file is a warning list, whatever its entries are, and why no names can be read.
func sniffWarningList(head []byte) (ours bool, why string) {
	if !isJSON(head) {
		return false, "it does not begin as JSON does"
	}
	entries, names := 0, 0
	list, err := readWarningList(bytes.NewReader(head), func(_ int64, entry any) error {
		entries++
		if s, ok := entry.(string); ok {
			if name := trimWildcard([]byte(s)); looksLikeName(name) && !isNumeric(name) {
				names++
			}
		}
		return nil
	})
	if err == nil {
		err = list.missing()
	}
	switch {
	case err != nil && err != errListCut:
		return false, err.Error()
	case list.unknown != "":
		return false, fmt.Sprintf("it has the key %.40q, which no warning list has", list.unknown)
	case !slices.Contains(list.keys, "list"):
		return false, "no list begins in its first part"
	case list.nameless() != nil:
		return true, list.nameless().Error()
	case names*2 < entries || entries == 0: // addresses may stand among the names
		return true, "warning list: its entries are no names"
	}
	return true, ""
}

func (mispReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	e := &datasets.Evidence{Names: "list", Class: "what a warning list of MISP names is no sign of an attack"}
	if h := hintOf(f.Path); h.known && h.class != benign {
		e.Guess = fmt.Sprintf("its path says %s, which a warning list contradicts", h.class)
	}
	rec := datasets.Record{Class: benign}
	if f.Class != nil {
		rec.Class = *f.Class
	}
	sink.Evidence(e)
	list, err := readWarningList(in, func(n int64, entry any) error {
		text, ok := entry.(string)
		if !ok {
			return sink.Refuse(n, reasonEntry)
		}
		name := trimWildcard([]byte(strings.TrimSpace(text)))
		if !bytes.Contains(name, []byte{'.'}) || isNumeric(name) {
			sink.LeaveOut(n, leftLocal)
			return ctx.Err()
		}
		rec.Name = string(name)
		return sink.Record(n, rec)
	})
	if err == nil {
		err = cmp.Or(list.missing(), list.nameless())
	}
	return err
}

// reasonEntry is why an entry of a warning list is refused.
const reasonEntry = "an entry that is no text"

// isNumeric is for addresses, alone or with a length: 192.0.2.0/24.
func isNumeric(name []byte) bool {
	_, ok := address(name)
	_, err := netip.ParsePrefix(string(name))
	return ok || err == nil
}

// warningList is what a warning list has besides its entries.
type warningList struct {
	kind    string   // its type: string, substring, hostname, cidr or regex
	keys    []string // in the file's order
	unknown string   // the first key that is not in mispKeys
}

// missing is an error if a list that was read to its end lacks a key that all have.
func (l warningList) missing() error {
	for _, key := range []string{"list", "name", "version"} {
		if !slices.Contains(l.keys, key) {
			return fmt.Errorf("warning list: it has no key %s", key)
		}
	}
	return nil
}

// nameless is an error if the list is of a type that has no names.
func (l warningList) nameless() error {
	if l.kind == "cidr" || l.kind == "regex" {
		return fmt.Errorf("warning list: its type is %s, so it holds no names", l.kind)
	}
	return nil
}

// errListCut is the error of a list that ends early: the head of a file, or a file that was cut off.
var errListCut = errors.New("warning list: it is cut off. Try: get the file again")

// readWarningList calls f for every entry of the list; they count from 1. If the text ends early, what was found so far
// comes with the error. An error of f ends the reading and is returned as it is.
func readWarningList(in io.Reader, f func(n int64, entry any) error) (l warningList, err error) {
	limit := &objectLimit{r: asText(in), left: objectBytes}
	w := warningReader{Decoder: json.NewDecoder(limit), limit: limit, found: &l}
	var failed error
	err = w.object(func(n int64, entry any) error {
		failed = f(n, entry)
		return failed
	})
	switch {
	case failed != nil:
		return l, failed
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = errListCut
	case err != nil:
		err = fmt.Errorf("warning list: %w", err)
	}
	return l, err
}

// warningReader decodes one value of a warning list after another.
type warningReader struct {
	*json.Decoder
	limit *objectLimit
	found *warningList
}

func (w warningReader) object(f func(int64, any) error) error {
	if err := w.bracket('{'); err != nil {
		return err
	}
	for w.More() {
		key, err := w.Token()
		if err != nil {
			return err
		}
		if err := w.value(key.(string), f); err != nil { // the decoder takes no key that is not a string
			return err
		}
	}
	if err := w.bracket('}'); err != nil {
		return err
	}
	if _, err := w.Token(); err != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
}

func (w warningReader) value(key string, f func(int64, any) error) error {
	if w.found.unknown == "" && !slices.Contains(mispKeys, key) {
		w.found.unknown = key
	}
	if key == "list" {
		return w.entries(f)
	}
	value, err := w.next()
	if err == nil && key == "type" {
		w.found.kind, _ = value.(string)
	}
	w.found.keys = append(w.found.keys, key)
	return err
}

func (w warningReader) entries(f func(int64, any) error) error {
	if slices.Contains(w.found.keys, "list") {
		return errors.New("it has the key list twice")
	}
	if err := w.bracket('['); err != nil {
		return fmt.Errorf("key list: %w", err)
	}
	w.found.keys = append(w.found.keys, "list")
	for n := int64(1); w.More(); n++ {
		entry, err := w.next()
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if err := f(n, entry); err != nil {
			return err
		}
	}
	return w.bracket(']')
}

// next decodes a value, of bounded length.
func (w warningReader) next() (value any, err error) {
	w.limit.left = objectBytes
	err = w.Decode(&value)
	return value, err
}

// bracket reads the bracket that must come next.
func (w warningReader) bracket(want json.Delim) error {
	w.limit.left = objectBytes
	token, err := w.Token()
	if err == nil && token != want {
		err = fmt.Errorf("there is no %v where one must be", want)
	}
	return err
}
