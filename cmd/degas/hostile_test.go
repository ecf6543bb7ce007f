package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/datasets"
)

// hostile is a text of a stranger: it would colour a terminal, name its window, go back to the line's start, turn the
// reading direction, add a row and a column, and be formatting, a link or a script on a page. Files may be
// called that.
const hostile = "\x1b[31mred\x1b]0;t\x07\r\u009b2J\u202eEVIL\nforged\t1.000000\tbenign|*b*`c`[x](http:e)<script>x&lt;"

var (
	// alive is what of hostile nothing that a person reads may have. The text's own line ends and tabs are beside words.
	alive = regexp.MustCompile("[\x1b\x07\r\u009b\u202e]|\\sforged|forged\\s")
	// markup is what of it a page must not have, and inert what has none: code, the YAML before a model card.
	markup = map[string]*regexp.Regexp{
		".html": regexp.MustCompile(`<script>x|x&lt;`),
		".md":   regexp.MustCompile("<script>x|[^\\\\](\\|\\*b|\\*b\\*|`c|\\[x\\]|&lt)"),
	}
	inert = regexp.MustCompile("(?m)^    .*$|`[^`|]+`|(?s)^---\n.*?\n---\n")
)

// session is a user at work.
type session struct {
	*testing.T
	ran map[string]bool // commands that have ended well
}

// do runs degas and looks at all that it prints. It returns the exit status.
func (s *session) do(input string, args ...string) (code int, out string) {
	s.Helper()
	var stdout, stderr bytes.Buffer
	code = run(s.Context(), append([]string{"degas"}, args...), strings.NewReader(input), &stdout, &stderr)
	if code == 0 {
		for _, c := range new(command).commands() {
			s.ran[c.Name] = s.ran[c.Name] || slices.Contains(args, c.Name)
		}
	}
	for from, text := range map[string]string{"standard output": stdout.String(), "standard error": stderr.String()} {
		if at := alive.FindStringIndex(text); at != nil {
			s.Errorf("degas %q: %q in %s: %q", args, text[at[0]:at[1]], from, text)
		}
	}
	if code != 0 && strings.Count(stderr.String(), "\n") == 0 {
		s.Errorf("degas %q: exit status %d and %q", args, code, stderr.String())
	}
	return code, stdout.String()
}

// ok runs a command that must succeed.
func (s *session) ok(args ...string) string {
	s.Helper()
	code, out := s.do("", args...)
	if code != 0 {
		var stderr bytes.Buffer
		run(s.Context(), append([]string{"degas"}, args...), strings.NewReader(""), &bytes.Buffer{}, &stderr)
		s.Fatalf("degas %q: exit status %d; once more: %q", args, code, stderr.String())
	}
	return out
}

// scans reads logs of hostile names and columns in files of that name.
func (s *session) scans() {
	s.Helper()
	quoted := `"` + strings.ReplaceAll(strings.ReplaceAll(hostile, "\n", ""), `"`, `""`) + `"`
	log := s.write(filepath.Join("logs", strings.ReplaceAll(hostile, "/", "")+".csv"),
		"client,domain\n"+strings.Repeat("192.0.2.7,plain.example\n", 5)+quoted+","+quoted+"\n"+
			quoted+",xjpakmdcfuqe.biz\n192.0.2.1,"+strings.Repeat("ab0d", 20)+quoted[1:]+"\n")
	s.ok("scan", "--rules", "--events", "events.csv", "logs")
	s.ok("scan", "--json", "--events", "events.jsonl", "--compat", "compat", log)
	s.ok("scan", "events.jsonl")
	s.do("", "scan", hostile)
	s.do(hostile, "scan", "-")
	for _, path := range []string{"events.csv", "events.jsonl", "compat/out.log"} {
		s.file(path)
	}
}

// file looks at a file that a command has written for people.
func (s *session) file(path string) {
	s.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	text := string(data)
	if filepath.Ext(path) == ".md" {
		text = inert.ReplaceAllString(text, "")
	}
	for _, never := range []*regexp.Regexp{alive, markup[filepath.Ext(path)]} {
		if never == nil {
			continue
		}
		if at := never.FindStringIndex(text); at != nil {
			s.Errorf("%q has %q: %q", path, text[at[0]:at[1]], text[max(0, at[0]-60):min(len(text), at[1]+60)])
		}
	}
}

// write makes a file with its folders.
func (s *session) write(path, text string) string {
	s.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.Fatal(err)
	}
	return path
}

// hostileData makes a data set in dir whose names, families and sources a stranger chose: process-data would have
// cleaned them, but the folder may come from elsewhere.
func (s *session) hostileData(dir string) {
	s.Helper()
	words := []string{"", hostile, "plain"}
	m := datasets.Manifest{Format: datasets.FormatVersion, Version: hostile, Fingerprint: hostile,
		Options:   datasets.ManifestOptions{Split: hostile, HoldoutFamilies: []string{hostile}},
		Inputs:    []datasets.InputReport{{Path: hostile, SHA256: hostile, Source: hostile, Reader: hostile}},
		RefusedBy: map[string]int64{hostile: 1}, Leaks: datasets.LeakReport{Key: hostile}}
	s.write(filepath.Join(dir, "x"), "")
	for id := range datasets.SplitID(datasets.NumSplits) {
		path := filepath.Join(dir, id.File())
		w, err := datasets.NewSplitWriter(path, words, words,
			datasets.SplitMeta{Version: hostile, Fingerprint: hostile, Split: id}, &datasets.Columns{})
		if err != nil {
			s.Fatal(err)
		}
		rows := &datasets.Columns{}
		for i := range 200 {
			rows.Append(fmt.Sprintf("%s-%d-%d.example", hostile, id, i), datasets.Class(i%2), uint16(i%2*(1+i/2%2)), 1)
		}
		same := []uint16{0, 1, 2}
		if err := errors.Join(w.Append(rows, same, same), w.Finish(), w.Close()); err != nil {
			s.Fatal(err)
		}
		m.Splits = append(m.Splits, w.Report())
	}
	data, err := json.Marshal(m)
	if err != nil {
		s.Fatal(err)
	}
	s.write(filepath.Join(dir, datasets.ManifestName), string(data))
}

const smallSpec = `{"version": 1, "name": %s, "encoder": {"alphabet": "abcdefghijklmnopqrstuvwxyz0123456789-.",
 "base": 2, "pad": 0, "unknown": 1, "window": 32, "pad_side": "left", "keep": "last", "lower": true}, "layers": [
 {"kind": "embedding", "rows": 41, "dim": 4}, {"kind": "conv1d", "filters": 4, "kernel": 3, "activation": "relu"},
 {"kind": "global_max_pool"}, {"kind": "dense", "units": 1, "activation": "sigmoid"}]}`

// TestHostileTexts gives every command one hostile text wherever a stranger's text can come from, and looks for it in
// all that the command prints and writes for people.
func TestHostileTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	t.Chdir(t.TempDir())
	s := &session{T: t, ran: map[string]bool{}}
	s.raw()
	s.hostileData(hostile)
	s.ok("inspect", hostile)
	s.ok("inspect", hostile, "--json")
	s.ok("inspect", hostile, "--plot", hostile+".png")
	s.ok("convert", hostile, "csv")
	s.ok("convert", hostile, "csv", "--json")
	f, err := os.Open(filepath.Join("csv", "test.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rows, err := csv.NewReader(f).ReadAll(); err != nil || len(rows) != 201 { // with the header
		t.Errorf("test.csv: %d rows, %v", len(rows), err)
	}
	s.model()
	s.network()
	s.served()
	s.watched()
	s.configs()
	s.ok("generate", "--list")
	s.ok("generate", "--family", "necurs", "--layout", "umudga", "--out", hostile+"-tree")
	s.ok("version")
	s.ok("show", hostile)
	s.ok("completion", "bash")
	s.ok("man")
	s.ok("help", "train-model")
	s.ok("dns", "--help")
	s.flags()
	for _, c := range new(command).commands() {
		if !s.ran[c.Name] && c.Name != "devices" {
			t.Errorf("no %s has ended well", c.Name)
		}
	}
}

// raw has process-data read files, folders, columns and members of that name.
func (s *session) raw() {
	in := filepath.Join("raw", hostile)
	column := fmt.Sprintf("%q", hostile)
	rows := "domain,class,family\n"
	for i := range 20 {
		rows += fmt.Sprintf("a%d.example,benign,\nxjpakmdcf%d.biz,dga,%s\n", i, i, column)
	}
	s.write(filepath.Join(in, hostile+".csv"), rows+column+",benign,\n")
	s.write(filepath.Join(in, hostile), hostile)
	s.write(filepath.Join(in, "list.txt.gz"), hostile)
	oneLine := strings.ReplaceAll(hostile, "\n", "")
	s.write(filepath.Join(in, "dga", hostile+".txt"), oneLine+"\n"+strings.Repeat("xkcdqpwo.biz\n", 9))
	s.write(filepath.Join(in, hostile+".zip"), string(zipOf(s.T, map[string]string{
		hostile: hostile, hostile + ".csv": rows, "../" + hostile + ".csv": rows, hostile + "/README": ""})))
	s.ok("process-data", in, hostile+"-out")
	s.ok("process-data", in, hostile+"-out", "--json")
	s.ok("process-data", in, "--dry-run")
	s.do("", "process-data", in, "strict", "--max-bad", "0")
	s.ok("describe", filepath.Join(in, "dga", hostile+".txt"))
	s.do("", "describe", filepath.Join(in, hostile))
	s.write(filepath.Join(in, hostile+".csv.degas.json"), `{"format": `+column+`}`)
	s.do("", "process-data", in, "sidecar")
	s.do("", "process-data", filepath.Join(in, hostile), "one")
}

// model goes all the way of a model whose strings are a stranger's.
func (s *session) model() {
	name, err := json.Marshal(hostile)
	if err != nil {
		s.Fatal(err)
	}
	spec := s.write(hostile+".json", fmt.Sprintf(smallSpec, name))
	run := filepath.Join("runs", hostile)
	s.ok("--verbose", "train-model", hostile, "--arch", spec, "--epochs", "1", "--run", hostile, "--target", "family")
	s.ok("--log-format", "json", "train-model", hostile, "--arch", spec, "--epochs", "1", "--run", "two", "--json")
	s.ok("choose-threshold", run, "--fpr", "0.5")
	s.ok("calibrate", run)
	s.do("", "evaluate-model", run, "--protocol", "kfold", "--folds", "2", "--epochs", "1")
	s.ok("evaluate-model", run)
	s.ok("show", run)
	s.ok("show", run, "--json")
	s.ok("runs", "--runs", filepath.Dir(run))
	s.ok("runs", "--runs", filepath.Dir(run), "--json")
	s.ok("evaluate-model", run, "--no-baselines", "--markdown", "--out", "markdown")
	s.ok("evaluate-model", run, "--no-baselines", "--json", "--out", "json")
	s.file(filepath.Join(run, "evaluation", "report.html"))
	s.file(filepath.Join(run, "evaluation", "report.md"))
	s.ok("compare", run, filepath.Join("runs", "two"), "--out", hostile+"-comparison")
	version := filepath.Join("models", hostile, "1")
	s.ok("export-model", run, "--to", version, "--verify")
	s.file(filepath.Join(version, "README.md"))
	s.ok("publish-model", version, "--to", "store", "--name", "shop")
	s.ok("publish-model", version, "--to", "store", "--name", "shop", "--keep", "1", "--force", "--json")
	s.do("", "publish-model", version, "--to", "store", "--name", hostile)
	s.ok("import-model", filepath.Join(version, "model.h5"), "--run", "imported", "--data", hostile)
	h5 := filepath.Join(version, hostile+".h5")
	if err := os.Rename(filepath.Join(version, "model.h5"), h5); err != nil {
		s.Fatal(err)
	}
	s.ok("import-model", h5, "--labels", "benign,"+strings.ReplaceAll(hostile, ",", "")+",plain")
	s.ok("predict", run, hostile, "a.example")
	s.ok("predict", run, hostile, "--json")
	s.ok("predict", "--model", "builtin", hostile)
	s.do("", "predict", hostile) // a data set's directory
	s.ok("explain", hostile, "a.example")
	s.ok("explain", "--model", run, "--json", hostile)
	s.ok("token", "x")
	s.do("", "token", hostile)
	s.do("", "token", "x", "--scope", hostile)
	log := s.write(hostile+"-log.csv",
		"query,n\na.example,1\n\""+strings.ReplaceAll(hostile, "\n", "")+".listed.example\",2\n")
	list := s.write(hostile+"-list.txt", "*.listed.example\n")
	s.ok("classify", log, "--format", "csv", "--block", list)
	s.ok("classify", log, "--format", "jsonl", "--block", list, "--model", run)
	s.do("", "classify", s.write(hostile+"-columns.csv", strings.ReplaceAll(hostile, "\n", "")+",n\n1,2\n"))
	s.do("", "classify", log, "--allow", s.write(hostile+"-list.txt", hostile))
	s.do("", "predict", hostile+"/typo")
	s.ok("model")
	s.scans()
	if code, _ := s.do(strings.ReplaceAll(hostile, "\n", ""), "predict", run); code != 0 {
		s.Errorf("predict: %d", code)
	}
}

// network has servers answer with the text.
func (s *session) network() {
	status := http.StatusBadRequest
	header := strings.Map(func(r rune) rune { return max(r, ' ') }, hostile)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="`+header+`"`)
		w.WriteHeader(status)
		text, _ := json.Marshal(hostile)
		fmt.Fprintf(w, `{"code": 1, "msg": %s, "errorDetail": %s}`, text, text)
	}))
	defer server.Close()
	version := filepath.Join("runs", "exported", "1")
	s.ok("export-model", filepath.Join("runs", hostile), "--to", version)
	for _, status = range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusOK} {
		for _, scheme := range []string{"", "devo+", "mlflow+"} {
			s.do("", "publish-model", version, "--to", scheme+server.URL, "--name", "shop", "--token", "x", "--force")
		}
		s.do("", "download-data", server.URL+"/a.csv", "--out", "fetched")
		s.do("", "download-data", "--mirror", server.URL, "tranco", "--out", "fetched")
	}
	s.do("", "download-data", server.URL+"/"+strings.ReplaceAll(hostile, "\n", "%0A")+".csv", "--out", "fetched")
	from := filepath.Join(hostile+"-from", hostile)
	s.write(filepath.Join(from, "top-1m.csv.zip"), string(zipOf(s.T, map[string]string{hostile: hostile})))
	s.do("", "download-data", "tranco", "--from", hostile+"-from", "--out", "copied", "--update-checksums")
	s.write(filepath.Join(from, "copy.tar"), hostile)
	s.do("", "download-data", "dgta", "umudga", "--from", from, "--out", "copied")
	s.ok("download-data", "--out", hostile+"-sample")
	s.ok("download-data", "--list")
}

// served is the text as a served model's name and in requests.
func (s *session) served() {
	name := strings.ReplaceAll(hostile, ":", "") // which would end the name in a request
	ctx, interrupt := context.WithCancel(s.Context())
	in, out := io.Pipe()
	var log bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"degas", "--verbose", "--log-format", "json", "serve", filepath.Join("runs", hostile),
			"--name", name, "--addr", "127.0.0.1:0"}, strings.NewReader(""), out, &log)
		out.Close()
	}()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		s.Fatal(err)
	}
	base, _, _ := strings.Cut(line, "/v1/")
	model := base + "/v1/models/" + url.PathEscape(name)
	signature := fmt.Sprintf(`{"signature_name": %q, "instances": ["a.example"]}`, "forged\t1")
	answers := ""
	for _, request := range []struct{ path, body string }{
		{model, ""}, {model + "/metadata", ""}, {model + "/versions/9", ""}, {model + "%1b/metadata", ""},
		{base + "/" + url.PathEscape(hostile), ""},
		{model + ":predict", `{"instances": ["a.example"]}`}, {model + ":predict", hostile}, {model + ":predict", signature},
	} {
		var answer *http.Response
		if request.body == "" {
			answer, err = http.Get(request.path)
		} else {
			answer, err = http.Post(request.path, "application/json", strings.NewReader(request.body))
		}
		if err != nil {
			s.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.Header.Get("Content-Type") != "application/json" {
			s.Errorf("%s: %v, %v", request.path, answer.Header, err)
		}
		answers += string(body)
	}
	interrupt()
	if code := <-ended; code != 0 {
		s.Errorf("serve: exit status %d: %s", code, log.String())
	}
	s.ran["serve"] = true
	for _, shown := range []string{line, answers, log.String()} {
		if alive.MatchString(shown) || !strings.Contains(shown, "EVIL") {
			s.Errorf("serve: %q", shown)
		}
	}
	if strings.Contains(answers, "<script") || !strings.Contains(answers, `"name": "\u001b[31m`) ||
		!strings.Contains(answers, `"predictions":`) {
		s.Errorf("serve answers %q", answers)
	}
}

// configs has the text in configurations, as values and as keys.
func (s *session) configs() {
	text := fmt.Sprintf("%q", hostile)
	s.ok("run", s.write(hostile+".yaml", fmt.Sprintf("version: 1\nname: good\nprocess: {in: %q, out: %q}\n",
		filepath.Join("raw", hostile, "dga"), hostile+"-run")), "--dry-run")
	for _, config := range []string{
		"version: 1\nname: " + text, "version: " + text, text + ": 1", hostile, "a: [" + text,
		"version: 1\nname: a\ntrain: {arch: " + text + "}",
		"version: 1\nname: a\nexport: {formats: [" + text + "], to: " + text + "}",
		"version: 1\nname: a\ndownload: {sources: [" + text + "]}",
		"version: 1\nname: a\ntrain: {options: {" + text + ": 1}}",
	} {
		path := s.write("config-"+hostile+".yaml", config)
		s.do("", "run", path, "--dry-run")
		s.do("", "run", path)
		s.do("", "tune", path)
	}
	s.ok("tune", s.write("tune-"+hostile+".yaml", fmt.Sprintf(tuneConfig, hostile, hostile+"-tuned", "rmsprop")))
	s.do("", "tune", s.write("tune-"+hostile+".yaml", fmt.Sprintf(tuneConfig, hostile, "other", hostile)))
}

const tuneConfig = `version: 1
data: %q
out: %q
trials: 2
max_epochs: 1
options: {optimizer: %q}
search: {arch: {choice: [mlbridge]}, learning_rate: {choice: [0.001, 0.002]}}
`

// flags gives the text to every flag and as every argument of every command.
func (s *session) flags() {
	s.do("", hostile)
	s.do("", "--"+hostile)
	for _, c := range new(command).commands() {
		if c.Name == "version" || c.Name == "watch" { // which waits for logs that are not there yet
			continue
		}
		s.do("", c.Name, "--"+hostile)
		s.do("", c.Name, hostile+"/none", "a", "b", "c")
		for _, arguments := range [][]string{{hostile + "/none"}, {hostile + "/none", "other"}} {
			s.do("", append([]string{c.Name}, arguments...)...)
			for _, f := range c.Flags {
				if _, isBool := f.(*cli.BoolFlag); !isBool {
					s.do("", append([]string{c.Name, "--" + f.Names()[0], hostile}, arguments...)...)
				}
			}
		}
	}
}

// zipOf is a zip of files.
func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(files[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
