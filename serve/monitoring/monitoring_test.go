package monitoring

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// dashboard is what is read of dashboard.json.
type dashboard struct {
	Panels []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Datasource  struct{ UID string }
		Targets     []struct{ RefID, Expr string }
	}
	Annotations struct{ List []struct{ Expr string } }
	Templating  struct {
		List []struct {
			Name  string
			Query any
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	data, err := os.ReadFile("dashboard.json")
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// expressions are all of the dashboard and the alerts, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			out["panel "+p.Title+" "+target.RefID] = target.Expr
		}
	}
	for i, a := range d.Annotations.List {
		out[fmt.Sprintf("annotation %d", i)] = a.Expr
	}
	for _, v := range d.Templating.List {
		out["variable "+v.Name] = fmt.Sprint(v.Query)
	}
	data, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var alerts struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &alerts); err != nil {
		t.Fatal(err)
	}
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			out["alert "+r.Alert] = r.Expr
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("alert %s: it needs a severity, a summary and an action", r.Alert)
			}
		}
	}
	return out
}

var metricName = regexp.MustCompile(`\b(?:coredns_)?degas_[a-z0-9_]+`)

// Every expression names metrics that the code has, so that no panel stays empty and no alert sleeps after a metric got
// another name.
func TestMetricsExist(t *testing.T) {
	known := inSource(t)
	seen := 0
	for where, expr := range expressions(t) {
		for _, name := range metricName.FindAllString(expr, -1) {
			seen++
			if !known.has(name) {
				t.Errorf("%s asks for %s, which no code has", where, name)
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d names of metrics found", seen)
	}
}

// And every metric is shown, so that nobody has to know of it.
func TestMetricsAreShown(t *testing.T) {
	var all strings.Builder
	for _, expr := range expressions(t) {
		all.WriteString(expr + "\n")
	}
	shown := map[string]bool{}
	for _, name := range metricName.FindAllString(all.String(), -1) {
		shown[base(name)] = true
	}
	known := inSource(t)
	for _, names := range known.full {
		for name := range names {
			if !shown[name] {
				t.Errorf("%s is in no panel and no alert", name)
			}
		}
	}
}

// metrics are the names that the code has, in full, by folder.
type metrics struct{ full map[string]map[string]bool }

// inSource finds the names of metrics as their packages write them: in full, as the Name of options, or as what add,
// counter or histogram take first.
func inSource(t *testing.T) metrics {
	t.Helper()
	m := metrics{map[string]map[string]bool{
		"watch":   names(t, "../../detect/metrics", "degas_"),
		"coredns": names(t, "../../coredns", "coredns_degas_"),
		"serve":   names(t, "..", "degas_"),
	}}
	if min(len(m.full["watch"]), len(m.full["coredns"]), len(m.full["serve"])) < 10 {
		t.Fatalf("only these are found: %v", m.full)
	}
	return m
}

func (m metrics) has(name string) bool {
	for _, names := range m.full {
		if names[name] || names[base(name)] {
			return true
		}
	}
	return false
}

// base is a histogram's name, of one of its series.
func base(name string) string {
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if short, ok := strings.CutSuffix(name, part); ok {
			return short
		}
	}
	return name
}

var aName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// names finds the metrics in the Go files below a folder, tests aside.
func names(t *testing.T, dir, prefix string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	note := func(e ast.Expr, full bool) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err := strconv.Unquote(l.Value)
			if err != nil || !aName.MatchString(text) {
				return
			}
			if strings.HasPrefix(text, prefix) && text != prefix {
				out[text] = true
			} else if full {
				out[prefix+text] = true
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				f, ok := n.Fun.(*ast.Ident)
				if ok && len(n.Args) > 0 && slices.Contains([]string{"add", "counter", "histogram"}, f.Name) {
					note(n.Args[0], true)
				}
			case *ast.CompositeLit:
				if s, ok := n.Type.(*ast.SelectorExpr); ok && strings.HasSuffix(s.Sel.Name, "Opts") {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && fmt.Sprint(kv.Key) == "Name" {
							note(kv.Value, true)
						}
					}
				}
			case *ast.BasicLit:
				note(n, false)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Panels have ids, do not lie on each other, and ask the chosen Prometheus.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is too wide", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: source %q, %d targets", p.Title, p.Datasource.UID, len(p.Targets))
		}
	}
}

// Where promtool is installed, it checks every expression, and runs the tests of the alerts.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed")
	}
	dollar := strings.NewReplacer("$__rate_interval", "5m", "$instance", "a")
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	for where, expr := range expressions(t) {
		if !strings.HasPrefix(where, "variable ") {
			rules = append(rules, rule{"a:b:c", dollar.Replace(expr)})
		}
	}
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "all", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(t.TempDir(), "all.yml")
	if err := os.WriteFile(all, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint=none", all}, {"check", "rules", "alerts.yml"},
		{"test", "rules", "alerts_test.yml", "alerts_week_test.yml"},
	} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
