package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

const module = "github.com/degas-dns/degas/"

// describer describes the structs of a kind of file.
type describer struct {
	kind
	root     string
	comments map[string]map[string]string // by folder; there by Type and Type.Field
}

// field is a key of a file.
type field struct {
	name  string // the key
	about string
	of    reflect.Type
	known []string // the values it may have; nil for any
	more  string   // a pattern of other values, "" where there are none
}

// fields are the keys that are read into a struct. A field without a comment has that of the one before it.
func (d *describer) fields(t reflect.Type) (out []field, err error) {
	docs, err := d.docs(t)
	if err != nil {
		return nil, err
	}
	names := map[string]string{} // of fields to keys
	for f := range t.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get(d.tag), ","); key != "" && key != "-" {
			names[f.Name] = key
		}
	}
	before := ""
	for f := range t.Fields() {
		key := names[f.Name]
		if key == "" {
			continue
		}
		about := docs[t.Name()+"."+f.Name]
		if about == "" {
			about = before
		}
		if about == "" {
			return nil, fmt.Errorf("%s.%s has no comment", t, f.Name)
		}
		before = about
		v := values[t.Name()+"."+f.Name]
		text := keysFor(about, names)
		for _, verb := range []string{" is ", " are "} { // the key stands beside it
			text = strings.TrimPrefix(text, "`"+key+"`"+verb)
		}
		out = append(out, field{key, text, f.Type, v.known, v.more})
	}
	return out, nil
}

var word = regexp.MustCompile(`[A-Z][A-Za-z0-9]*`)

// keysFor writes keys in place of the names of fields: the first word, and every word like LearningRate.
func keysFor(text string, names map[string]string) string {
	at := 0
	return word.ReplaceAllStringFunc(text, func(w string) string {
		first := at == 0 && strings.HasPrefix(text, w)
		at++
		compound := strings.IndexFunc(w[1:], unicode.IsUpper) >= 0
		if key := names[w]; key != "" && (first || compound) {
			return "`" + key + "`"
		}
		return w
	})
}

// docs are the comments of the package of a type.
func (d *describer) docs(t reflect.Type) (map[string]string, error) {
	folder := strings.TrimPrefix(t.PkgPath(), module)
	if found, ok := d.comments[folder]; ok {
		return found, nil
	}
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(d.root, filepath.FromSlash(folder), "*.go"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no source in %s: %w", folder, fs.ErrNotExist)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					found[spec.Name.Name+"."+name.Name] = flat(f.Doc.Text() + f.Comment.Text())
				}
			}
			return false
		})
	}
	d.comments[folder] = found
	return found, nil
}

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// structOf is the struct that t is, points to or is a list of; false where there is none.
func structOf(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct
}

// page is the kind's part of the page: a table for each struct. heading has those that are on the page already.
func (d *describer) page(heading map[reflect.Type]string) (string, error) {
	out := fmt.Sprintf("\n## %s\n\n%s Schema: [%s](%s).\n\n", d.title, d.about, d.file, d.file)
	var table func(t reflect.Type) error
	table = func(t reflect.Type) error {
		fields, err := d.fields(t)
		if err != nil {
			return err
		}
		var inner []field // what gets a table of its own
		for _, f := range fields {
			if t, ok := structOf(f.of); ok && heading[t] == "" {
				heading[t] = f.name
				inner = append(inner, f)
			}
		}
		out += "| key | value | meaning |\n|---|---|---|\n"
		for _, f := range fields {
			out += fmt.Sprintf("| `%s` | %s | %s |\n", f.name, f.value(heading), strings.ReplaceAll(f.about, "|", `\|`))
		}
		for _, f := range inner {
			out += "\n### " + f.name + "\n\n"
			t, _ := structOf(f.of)
			if err := table(t); err != nil {
				return err
			}
		}
		return nil
	}
	err := table(d.of)
	return out, err
}

// value says what a field's value is.
func (f *field) value(heading map[reflect.Type]string) string {
	if t, ok := structOf(f.of); ok {
		return fmt.Sprintf("see [%s](#%[1]s)", heading[t])
	}
	text := typeName(f.of)
	if f.known != nil {
		known := slices.DeleteFunc(slices.Clone(f.known), func(v string) bool { return v == "" })
		text = "`" + strings.Join(known, "`, `") + "`"
		if f.more != "" {
			text += " …"
		}
		if f.of.Kind() == reflect.Slice {
			text = "list of " + text
		}
	}
	return text
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Slice:
		return strings.TrimSuffix("list of "+typeName(t.Elem()), " of ")
	}
	names := map[any]string{"integer": "whole number", "boolean": "true or false", "string": "text", "number": "number"}
	return names[jsonType(t)["type"]]
}

// object is a JSON object.
type object = map[string]any

// jsonType is the schema of a type that is no struct and no list.
func jsonType(t reflect.Type) object {
	if t == reflect.TypeFor[time.Duration]() {
		return object{"type": "string", "pattern": "^([0-9.]+(ns|us|µs|ms|s|m|h))+$"}
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Struct, reflect.Map:
		return object{"type": "object"}
	}
	return object{}
}

// schema is the JSON schema of the kind of file.
func (d *describer) schema() (string, error) {
	defs := object{}
	var build func(t reflect.Type) (object, error)
	var of func(f field, t reflect.Type) (object, error)
	of = func(f field, t reflect.Type) (object, error) {
		switch t.Kind() {
		case reflect.Pointer:
			return of(f, t.Elem())
		case reflect.Slice:
			items, err := of(f, t.Elem())
			return object{"type": "array", "items": items}, err
		case reflect.Map:
			inner, err := of(field{}, t.Elem())
			return object{"type": "object", "additionalProperties": inner}, err
		case reflect.Struct:
			name := strings.ToLower(t.Name())
			if _, ok := defs[name]; !ok {
				defs[name] = nil // a layer holds layers
				def, err := build(t)
				if err != nil {
					return nil, err
				}
				defs[name] = def
			}
			return object{"$ref": "#/definitions/" + name}, nil
		}
		out := jsonType(t)
		if f.more != "" {
			out["anyOf"] = []object{{"enum": f.known}, {"pattern": f.more}}
		} else if f.known != nil {
			out["enum"] = f.known
		}
		return out, nil
	}
	build = func(t reflect.Type) (object, error) {
		fields, err := d.fields(t)
		if err != nil {
			return nil, err
		}
		properties := object{}
		for _, f := range fields {
			p, err := of(f, f.of)
			if err != nil {
				return nil, err
			}
			if ref := p["$ref"]; ref != nil { // what stands beside a $ref is not read
				p = object{"allOf": []object{p}}
			}
			p["description"] = f.about
			properties[f.name] = p
		}
		return object{"type": "object", "additionalProperties": false, "properties": properties}, nil
	}
	whole, err := build(d.of)
	if err != nil {
		return "", err
	}
	whole["$schema"] = "http://json-schema.org/draft-07/schema#"
	whole["title"], whole["required"], whole["definitions"] = d.title, d.required, defs
	text, err := json.MarshalIndent(whole, "", "  ")
	return string(text) + "\n", err
}
