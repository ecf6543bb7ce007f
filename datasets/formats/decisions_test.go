package formats

import (
	"fmt"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
)

const decisionHead = "domain,label,source,decided_by,decided_at,scope,score,model,model_version,note,revoked\n"

// decided is a row about a name.
func decided(name, label, at, scope, note, revoked string) string {
	return fmt.Sprintf("%s,%s,console,ada,%s,%s,0.410000,degas,3,%s,%s\n", name, label, at, scope, note, revoked)
}

func decisionCases() []readerCase {
	const first, second = "2026-12-01T09:30:00Z", "2026-12-01T10:30:00Z"
	return []readerCase{
		{path: "console/HOST-8501.csv", reader: "decisions",
			text: decisionHead + decided("xjpakmdcfuqe.biz", "dga", first, "name", "", "") +
				decided("partner.example", "benign", first, "domain", `"ticket 7, ""b"""`, "") +
				decided("t.example.net", "tunnel", first, "name", "", "") +
				decided("*.bad.example", "malicious", first, "domain", "", "") +
				decided("odd.example", "unsure", first, "name", "", "") +
				decided("gone.example", "dga", first, "name", "", "revoked") +
				decided("old.example", "dga", first, "name", "", "superseded") +
				decided("over.example", "benign", first, "name", "", "expired"),
			want: []string{"2 dga  xjpakmdcfuqe.biz", "3 benign  partner.example", "4 tunnel  t.example.net"},
			refused: []string{"5 left out: " + leftNoClass, "6 left out: " + leftUnsure, "7 left out: " + leftRevoked,
				"8 left out: " + leftSuperseded, "9 left out: " + leftExpired}},
		// The older file comes last. A row that says a decision was revoked knows more than an earlier copy of it.
		{path: "joined.csv", reader: "decisions",
			text: decisionHead + decided("a.example", "benign", second, "name", "", "") +
				decided("b.example", "dga", first, "name", "", "") + decisionHead +
				decided("a.example", "dga", first, "name", "", "") + decided("b.example", "dga", first, "name", "", "revoked") +
				decided("a.example", "dga", first, "domain", "", ""), // about another pattern
			want:    []string{"2 benign  a.example", "7 dga  a.example"},
			refused: []string{"3 left out: " + leftSuperseded, "5 left out: " + leftSuperseded, "6 left out: " + leftRevoked}},
		// A later "unsure" takes a name out, and an earlier decision is in force again when the later one is revoked.
		{path: "again.csv", reader: "decisions",
			text: decisionHead + decided("a.example", "dga", first, "name", "", "") +
				decided("a.example", "unsure", second, "name", "", "") + decided("b.example", "dga", first, "name", "", "") +
				decided("b.example", "benign", second, "name", "", "revoked"),
			want: []string{"4 dga  b.example"},
			refused: []string{"2 left out: " + leftSuperseded, "3 left out: " + leftUnsure,
				"5 left out: " + leftRevoked}},
		{path: "hostile.csv", reader: "decisions",
			text: decisionHead + decided("'-x.example.com", "dga", first, "name", "'=1+2", "") +
				decided(`a\x1b.example`, "dga", first, "name", "", "") + decided("c.example", "dga", "yesterday", "name", "", "") +
				decided("", "dga", first, "name", "", "") + "d.example,dga\n" +
				decided("tunnel.example", "tunnel", first, "domain", "", "") + decided("f.example", "dga", "", "name", "", ""),
			want: []string{"2 dga  -x.example.com", "8 dga  f.example"},
			refused: []string{"3: " + reasonEscaped, "4: " + reasonTime, "5: " + reasonEmptyValue, "6: " + reasonColumns,
				"7 left out: " + leftZone}},
		{path: "few-columns.csv", reader: "decisions",
			text: "revoked,domain,label\n,a.example,benign\nrevoked,b.example,dga\n",
			want: []string{"2 benign  a.example"}, refused: []string{"3 left out: " + leftRevoked}},
		{path: "none.csv", reader: "decisions", text: decisionHead},
	}
}

// What a sidecar says of a label counts, and a label that nobody knows is an error.
func TestDecisionLabels(t *testing.T) {
	text := decisionHead + decided("a.example", "malicious", "", "name", "", "") +
		decided("b.example", "unsure", "", "name", "", "") + decided("c.example", "dga", "", "name", "", "")
	for _, tc := range []struct {
		classes map[string]string
		want    string
	}{
		{nil, "4 dga  c.example"},
		{map[string]string{"malicious": "dga"}, "2 dga  a.example; 4 dga  c.example"},
		{map[string]string{"malicious": "tunnel", "unsure": "benign"},
			"2 tunnel  a.example; 3 benign  b.example; 4 dga  c.example"},
	} {
		side := sidecar{Classes: tc.classes}
		if err := side.declare(); err != nil {
			t.Fatal(err)
		}
		var got collector
		f := FileInfo{Path: "console/x.csv", declared: side.declared}
		if err := (decisionsReader{}).Read(t.Context(), strings.NewReader(text), f, &got); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(got.rows, "; "); all != tc.want {
			t.Errorf("%v: %s, want %s", tc.classes, all, tc.want)
		}
	}
	strange := text + decided("d.example", "phishing", "", "name", "", "")
	err := decisionsReader{}.Read(t.Context(), strings.NewReader(strange), FileInfo{Path: "x.csv"}, &collector{})
	if want := `"phishing" is no class that degas knows`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// The labels and their counts reach dataset.json as evidence.
func TestDecisionEvidence(t *testing.T) {
	text := decisionHead + decided("a.example", "dga", "2026-12-01T00:00:00Z", "name", "", "") +
		decided("b.example", "benign", "2026-12-01T00:00:00Z", "name", "", "") +
		decided("c.example", "dga", "2026-12-01T00:00:00Z", "name", "", "")
	var e evidenceSink
	if err := (decisionsReader{}).Read(t.Context(), strings.NewReader(text), FileInfo{Path: "x.csv"}, &e); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(e.evidence.Values, e.day), "[{dga dga 2} {benign benign 1}] 2026-12-01"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

type evidenceSink struct {
	collector
	evidence *datasets.Evidence
	day      datasets.Day
}

func (s *evidenceSink) Evidence(e *datasets.Evidence) { s.evidence = e }

func (s *evidenceSink) Record(line int64, r datasets.Record) error {
	s.day = r.Day
	return s.collector.Record(line, r)
}
