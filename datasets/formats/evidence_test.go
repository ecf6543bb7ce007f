package formats

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A column of numbers or answers is the class only if "no" below its header says so. The rest say what to write.
func TestColumnsThatSayLittle(t *testing.T) {
	rows := func(header string, values ...string) string {
		var b strings.Builder
		b.WriteString(header + "\n")
		for i := range 30 {
			fmt.Fprintf(&b, "river-orange%d.org,%s\nrzstkfjalpq%d.ru,%s\n", i, values[0], i, values[1])
		}
		return b.String()
	}
	for name, tc := range map[string]struct {
		text, sidecar, want string
		names               int
	}{
		"a list of popular names":  {rows("domain,alexa", "1", "0"), "", `"columns": {"class": "alexa"}`, 0},
		"a list of blocked names":  {rows("domain,is_blacklisted", "0", "1"), "", `{"class": "is_blacklisted"}`, 0},
		"another threat":           {rows("domain,spam", "0", "1"), "", `"columns": {"class": "spam"}`, 0},
		"several words":            {rows("domain,label", "0", "2\nx.ru,3"), "", `{"classes": {"2": "?", "3": "?"}}`, 0},
		"the fuller of two":        {rows("domain,class,label", ",benign", "dga,dga"), "", "column label", 60},
		"so a sidecar says":        {rows("domain,alexa", "1", "0"), `{"columns": {"class": "alexa"}}`, "column alexa", 60},
		"beside a label":           {rows("domain,whitelisted,spam,label", "0,1,0", "1,0,1"), "", "column label", 60},
		"counts and a constant":    {rows("domain,malicious,suspicious", "0,0", "7,0"), "", "column malicious has", 0},
		"many counts":              {rows("domain,hits,phishing", "0,0", "7,0"), "", `{"columns": {"class": "…"}`, 0},
		"a test's result":          {rows("domain,result", "positive", "negative"), "", "may be classes or not", 0},
		"what it is positive for":  {rows("domain,benign", "positive", "negative"), "", "column benign", 60},
		"codes that are not used":  {rows("domain,label,is_dga", "2,0", "1,1"), "", "column label was not used", 60},
		"a kind of its own":        {rows("domain,label,subtype", "0,", "1,tunnel"), "", `column subtype says "tunnel"`, 1},
		"a kind of another":        {rows("domain,label,guess", "0,dga", "1,benign"), "", "column label", 60},
		"a model's kind":           {rows("domain,label,predicted", "0,dga", "1,tunnel"), "", "column label", 60},
		"a category of some":       {rows("domain,label,category", "0,benign", "1,exfil"), "", "category was not used", 60},
		"hashes in a feed":         {rows("domain,label", "0", "1") + "f08360852789d059,1\n", "", "column label", 60},
		"ranks with zeros":         {rows("domain,rank", "007", ""), "", "a ranking of popular names is benign", 30},
		"a model's word":           {rows("domain,model_class", "benign", "dga"), "", "does not say that it has classes", 60},
		"mostly empty":             {rows("domain,class", "", "dga"), "", `is empty in 30 of the first 60 rows. Say`, 0},
		"empty, as a sidecar says": {rows("domain,class", "", "dga"), `{"classes": {"": "benign"}}`, "column class", 60},
		"families of some":         {rows("domain,family", "", "necurs"), "", `{"classes": {"": "?"}}`, 0},
		"families beside words": {rows("domain,family,note,verdict", ",,fine", "necurs,old,odd"), "",
			`If column verdict has the classes: {"columns": {"class": "…"}`, 0},
		"a word that is open": {rows("domain,label", "benign", "dga"), `{"classes": {"benign": "?"}}`,
			`classes: "benign": replace the ? by benign, dga, tunnel or skip`, 0},
		"a class that is open": {rows("domain,label", "benign", "dga"), `{"class": "?"}`,
			`class: replace the ? by benign, dga, tunnel`, 0},
		"a class that is none": {rows("domain,label", "benign", "dga"), `{"class": "bad"}`,
			`class: unknown class "bad". Write benign, dga, tunnel`, 0},
		"two that disagree, settled": {rows("domain,class,label", "benign,1", "dga,0"), `{"columns": {"class": "class"}}`,
			"column class", 60},
		"ranks of some": {rows("domain,rank", "7", ""), "", "a ranking of popular names is benign", 30},
		"Excel": {"sep=;\n" + strings.ReplaceAll(rows("domain,label", "Legit", "DGA"), ",", ";"), "",
			"column label", 60},
		"names in a line": {"a.org,b.org,c.org\n", "", "may both be the names", 0},
	} {
		path := filepath.Join(t.TempDir(), "x.csv")
		err := os.WriteFile(path, []byte(tc.text), 0o644)
		if tc.sidecar != "" {
			err = errors.Join(err, os.WriteFile(path+SidecarSuffix, []byte(tc.sidecar), 0o644))
		}
		inputs, skipped, err2 := Discover(t.Context(), filepath.Dir(path), t.TempDir())
		got, sink := fmt.Sprint(err, err2, skipped), &classSink{classes: map[string]bool{}}
		if len(inputs) == 1 {
			reading, err := inputs[0].Survey(t.Context(), t.TempDir())
			got = fmt.Sprint(reading.Error, reading.Class, reading.Guess, err)
			got += fmt.Sprint(inputs[0].Read(t.Context(), t.TempDir(), nil, sink))
		}
		if !strings.Contains(got, tc.want) || len(sink.classes) != tc.names {
			t.Errorf("%s: %s, %d names, want %s and %d", name, got, len(sink.classes), tc.want, tc.names)
		}
		for n, malicious := range sink.classes {
			if malicious != strings.HasSuffix(n, ".ru") && name != "codes that are not used" {
				t.Errorf("%s: %s is malicious: %v", name, n, malicious)
				break
			}
		}
	}
}

// A list whose header says one class below a path that says another is none.
func TestListHeaderAgainstItsPath(t *testing.T) {
	const text = "Legitimate domains\nriver.org\norange.org\n"
	for path, want := range map[string]bool{"dga/x.txt": true, "malware.txt": true, "benign/x.txt": false} {
		err := listReader{}.Read(t.Context(), strings.NewReader(text), FileInfo{Path: path}, &collector{})
		if _, unclear := errors.AsType[*unclearError](err); unclear != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Whoever says which column counts, as a message asks, hears no more of the others.
func TestDeclaredColumnSettles(t *testing.T) {
	for _, text := range []string{
		"domain,label,verdict\norange.org,0,dga\nxcbeoyq.eu,1,dga\n",
		"domain,label,source\norange.org,0,bambenek\nxcbeoyq.eu,1,alexa\n",
		"domain,label,family\norange.org,0,necurs\nxcbeoyq.eu,1,necurs\n",
	} {
		var got collector
		read := func(f FileInfo) error { return tableReader{}.Read(t.Context(), strings.NewReader(text), f, &got) }
		if err := read(FileInfo{Path: "x.csv"}); err == nil || !strings.Contains(err.Error(), `{"columns": {"class": `) {
			t.Errorf("%s: error %v", text, err)
		}
		got.rows = nil
		err := read(FileInfo{Path: "x.csv", columns: map[string]string{"class": "label"}})
		if err != nil || len(got.rows) != 2 || !strings.HasPrefix(got.rows[0], "2 benign  orange.org") {
			t.Errorf("%s: %v, error %v", text, got.rows, err)
		}
	}
}

// What the first rows show is an error before a run too, if more rows follow than are looked at.
func TestSurveyFindsUnknownWords(t *testing.T) {
	text := "domain,verdict\n" + strings.Repeat("river-orange.org,ok\nrzstkfjalpq.ru,bad\n", SurveyRows)
	text = strings.Replace(text, "bad", "unsure", 1)
	path := filepath.Join(t.TempDir(), "x.csv")
	sidecar := `{"columns": {"class": "verdict"}, "classes": {"ok": "benign", "bad": "dga", "late": "dga"}}`
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o644),
		os.WriteFile(path+SidecarSuffix, []byte(sidecar), 0o644)); err != nil {
		t.Fatal(err)
	}
	inputs, _, err := Discover(t.Context(), path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := inputs[0].Survey(t.Context(), t.TempDir())
	read := inputs[0].Read(t.Context(), t.TempDir(), nil, &classSink{classes: map[string]bool{}})
	if err != nil || read == nil || got.Error != read.Error() || !strings.Contains(got.Error, `"unsure" is no class`) {
		t.Errorf("before: %q, %v; when read: %v", got.Error, err, read)
	}
}
