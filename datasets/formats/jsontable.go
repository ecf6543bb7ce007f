package formats

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/lines"
)

func init() { Register(jsonReader{}) }

// jsonReader reads objects as rows of a table: one a line (JSON Lines, as log shippers and search engines export), one
// after another, or in an array. Objects inside become columns, such as dns.question.name; lists inside are left out.
// Rows are counted by line where there is an object a line, else by object.
type jsonReader struct{}

func (jsonReader) Name() string { return "json" }

// objectBytes bounds an object; a longer one is no row of a table.
const objectBytes = 1 << 20

func (jsonReader) Match(path string, head []byte) (int, string) {
	if !isJSON(head) {
		return 0, "it does not begin as JSON does"
	}
	if ours, _ := sniffWarningList(head); ours {
		return 0, "it is a warning list of MISP"
	}
	if _, err := jsonColumns(head, FileInfo{Path: path}); err != nil {
		return 0, err.Error()
	}
	return 90, ""
}

func isJSON(head []byte) bool {
	head = bytes.TrimLeft(head, "\ufeff \t\r\n")
	return len(head) > 1 && (head[0] == '{' || head[0] == '[')
}

// jsonTable are the columns of a JSON file: its keys.
type jsonTable struct {
	columns
	keys []string
	each bool // there is an object on each line

	array bool // the file is one array of objects
}

func jsonColumns(head []byte, f FileInfo) (jsonTable, error) {
	if !isJSON(head) {
		return jsonTable{}, errors.New("it is no JSON")
	}
	t := jsonTable{each: objectPerLine(head), array: bytes.TrimLeft(head, "\ufeff \t\r\n")[0] == '['}
	var objects []map[string]string
	collect := func(_ int64, object map[string]string) error {
		if objects = append(objects, object); len(objects) == sampleRows {
			return errSampled
		}
		return nil
	}
	err := t.objects(asText(bytes.NewReader(head)), nil, collect)
	if len(objects) == 0 {
		return t, cmp.Or(err, errors.New("there are no objects in it"))
	}
	all := map[string]bool{}
	for _, o := range objects {
		for k := range o {
			all[k] = true
		}
	}
	t.keys = slices.Sorted(maps.Keys(all))
	s := sample{headers: t.keys}
	for _, o := range objects {
		row := make([]string, len(t.keys))
		for i, k := range t.keys {
			row[i] = o[k]
		}
		s.rows = append(s.rows, row)
	}
	t.columns, err = chooseColumns(s, f)
	return t, err
}

// objectPerLine reports whether the first line is an object by itself.
func objectPerLine(head []byte) bool {
	first := lines.Head(head, 1)
	return len(first) > 0 && json.Valid(first[0]) && first[0][0] == '{'
}

func (jsonReader) Read(ctx context.Context, in io.Reader, f FileInfo, sink Sink) error {
	head, in, err := lines.Peek(in)
	if err != nil {
		return err
	}
	t, err := jsonColumns(head, f)
	if err != nil {
		return err
	}
	sink.Evidence(&t.evidence)
	fields := make([][]byte, len(t.keys))
	err = t.objects(asText(in), sink, func(line int64, object map[string]string) error {
		found := 0
		for i, k := range t.keys {
			fields[i] = nil
			if v, ok := object[k]; ok {
				fields[i] = []byte(v)
				found++
			}
		}
		if found < len(object) {
			if err := t.lateKey(line, object); err != nil {
				return err
			}
		}
		return cmp.Or(ctx.Err(), t.record(line, fields, sink))
	})
	return t.finish(err)
}

// lateKey is an error if an object has a key that asks for a class and that none of the first objects had.
func (t *jsonTable) lateKey(line int64, object map[string]string) error {
	for k := range object {
		if asksBy(k) == asks && !slices.Contains(t.keys, k) {
			return unclearf("row %d: key %.40q is in none of the first rows, and may hold classes. Try: a file for each form",
				line, k)
		}
	}
	return nil
}

const reasonJSON = "no JSON object"

// objects calls f for every object. sink, if not nil, is told of lines that are none; without lines that is an error.
func (t *jsonTable) objects(in io.Reader, sink Sink, f func(int64, map[string]string) error) error {
	if t.each {
		return objectLines(in, sink, f)
	}
	b := bufio.NewReader(in)
	if mark, _ := b.Peek(3); string(mark) == "\ufeff" {
		b.Discard(3) //nolint:errcheck // they were peeked
	}
	limit := &objectLimit{r: b, left: objectBytes}
	d := json.NewDecoder(limit)
	d.UseNumber()
	if t.array {
		if _, err := d.Token(); err != nil {
			return fmt.Errorf("json: %w", err)
		}
	}
	for n := int64(1); !t.array || d.More(); n++ {
		limit.left = objectBytes
		var v any
		if err := d.Decode(&v); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("json: object %d: %w", n, err)
		}
		if err := f(n, flat(v)); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the array's end: one that was cut off is not one that ends
		return fmt.Errorf("json: %w", err)
	}
	return nil
}

func objectLines(in io.Reader, sink Sink, f func(int64, map[string]string) error) error {
	if sink == nil {
		sink = noSink{}
	}
	return eachLine(in, sink, func(line int64, text []byte) error {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v map[string]any
		if err := d.Decode(&v); err != nil || d.More() {
			return sink.Refuse(line, reasonJSON)
		}
		return f(line, flat(v))
	})
}

// noSink is a Sink that nothing reaches but refused rows, which it forgets.
type noSink struct{}

func (noSink) Record(int64, datasets.Record) error { return nil }
func (noSink) Refuse(int64, string) error          { return nil }
func (noSink) Evidence(*datasets.Evidence)         {}
func (noSink) LeaveOut(int64, string)              {}

// objectLimit ends a stream that holds an object without an end.
type objectLimit struct {
	r    io.Reader
	left int
}

func (l *objectLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("longer than %d KiB", objectBytes>>10)
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// flat makes a row of an object: keys of objects inside are joined by dots. A value that is no object is the row's
// only one.
func flat(v any) map[string]string {
	row := map[string]string{}
	if object, ok := v.(map[string]any); ok {
		flatten(row, "", object, 0)
	} else {
		put(row, "value", v)
	}
	return row
}

func flatten(row map[string]string, front string, object map[string]any, depth int) {
	for k, v := range object {
		if inner, ok := v.(map[string]any); ok && depth < 8 {
			flatten(row, front+k+".", inner, depth+1)
		} else if len(row) < mostColumns {
			put(row, front+k, v)
		}
	}
}

func put(row map[string]string, key string, v any) {
	switch v := v.(type) {
	case string:
		row[key] = v
	case json.Number:
		row[key] = v.String()
	case bool:
		row[key] = strconv.FormatBool(v)
	}
}
