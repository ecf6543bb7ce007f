package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/internal/userfile"
)

// SidecarSuffix ends the name of a sidecar: beside names.txt, names.txt.degas.json says what names.txt is.
const SidecarSuffix = ".degas.json"

// sidecar is what a file FILE.degas.json says about FILE; what it says wins over what readers find. An example:
//
//	{"format": "list", "class": "dga", "family": "conficker", "source": "my-sinkhole"}
type sidecar struct {
	// Format is a reader's name; "" lets the content tell.
	Format string `json:"format"`
	// Class is benign, dga or tunnel for every row; "" leaves it to the reader.
	Class string `json:"class"`
	// Family and Source stand for every row when not "".
	Family string `json:"family"`
	Source string `json:"source"`
	// Columns says which column of a table is the "name", the "class" or the "family": its header, or its number from 1.
	Columns map[string]string `json:"columns"`
	// Classes says what values of the class column mean: benign, dga, tunnel, or skip.
	Classes map[string]string `json:"classes"`
	// Skip leaves the file out.
	Skip bool `json:"skip"`

	class    *datasets.Class
	declared map[string]label // Classes
}

// readSidecar reads the sidecar of the file at path. Without one everything is left to the readers.
func readSidecar(path string) (s sidecar, err error) {
	name := path + SidecarSuffix
	data, err := userfile.Read(name, userfile.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err = d.Decode(&s); err == io.EOF {
		err = errors.New("it is empty")
	} else if err == nil && d.More() {
		err = errors.New("something follows the object")
	}
	if err == nil && s.Class != "" {
		s.class = new(datasets.Class)
		if *s.class, err = parseClass(s.Class); err != nil {
			err = fmt.Errorf("class: %w", err)
		}
	}
	if err == nil && s.Format != "" {
		_, err = Lookup(s.Format)
	}
	if err == nil {
		err = s.declare()
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("%s is a %s, where another kind is expected", typ.Field, typ.Value)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	family := datasets.NormalizeFamily(s.Family)
	if s.Family != "" && family == "" {
		return s, fmt.Errorf("%s: family %q is no family's name: letters, digits, '-', '_' and '.'", name, s.Family)
	}
	s.Family = family
	return s, nil
}

// declare reads Columns and Classes.
func (s *sidecar) declare() error {
	for role := range s.Columns {
		if role != "name" && role != "class" && role != "family" {
			return fmt.Errorf("columns: unknown role %q, known are: name, class, family", role)
		}
	}
	if s.class != nil && s.Columns["class"] != "" {
		return errors.New("class and columns.class are both given: which one counts?")
	}
	s.declared = map[string]label{}
	for value, name := range s.Classes {
		l := label{ok: true, skip: name == skipClass}
		if !l.skip {
			var err error
			if l.class, err = parseClass(name); err != nil {
				return fmt.Errorf("classes: %q: %w or %s", value, err, skipClass)
			}
		}
		s.declared[declaredKey(value)] = l
	}
	_, no := s.declared["0"]
	if _, yes := s.declared["1"]; yes != no {
		return errors.New(`classes: if one of 0 and 1 (no and yes) is given, the other must be too`)
	}
	return nil
}

// parseClass reads a class as a person writes it. The error ends with those there are.
func parseClass(name string) (datasets.Class, error) {
	class, err := datasets.ParseClass(name)
	if err == nil {
		return class, nil
	}
	known := strings.Join(datasets.ClassNames(), ", ")
	if name == "?" {
		return 0, fmt.Errorf("replace the ? by %s", known)
	}
	return 0, fmt.Errorf("unknown class %q. Write %s", name, known)
}
