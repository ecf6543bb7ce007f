package console_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// many keeps n events of the last hour, of names n0.example, n1.example and so on, ten of each.
func (s *site) many(n int) {
	s.t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	all := make([]store.Event, n)
	for i := range all {
		name := fmt.Sprintf("n%d.example", i/10)
		all[i] = store.Event{Time: now.Add(-time.Duration(i) * 10 * time.Millisecond), Name: name, Domain: name,
			Client: fmt.Sprintf("192.0.2.%d", i%5), Type: 1, Class: "benign", Rule: detect.Score, Reason: "score"}
		if i%7 == 0 {
			all[i].Verdict, all[i].Class, all[i].Action = detect.Malicious, "dga", detect.Report
		}
		if i%70 == 0 {
			all[i].Action = detect.Block
		}
	}
	s.store.Append(all)
	s.flush()
}

var nextLink = regexp.MustCompile(`<a href="([^"]*)" rel="next">`)

// walk follows the links to the next page, and counts what count finds on each.
func (s *site) walk(target string, count *regexp.Regexp) (pages, found int) {
	s.t.Helper()
	for target != "" && pages < 100 {
		body := s.page(target)
		pages++
		found += len(count.FindAllString(body, -1))
		m := nextLink.FindStringSubmatch(body)
		if target = ""; m != nil {
			target = html.UnescapeString(m[1])
		}
	}
	return pages, found
}

func TestActivity(t *testing.T) {
	s := newSite(t)
	s.many(350)
	t.Run("history", func(t *testing.T) { testHistory(t, s) })
	t.Run("overview", func(t *testing.T) { testOverview(t, s) })
}

// Every row is on one page, whatever is chosen.
func testHistory(t *testing.T, s *site) {
	rows := regexp.MustCompile(`<tr><td><time`)
	for query, want := range map[string][2]int{ // pages, rows
		"":                               {7, 350},
		"?n=200":                         {2, 350},
		"?flagged=1&n=25":                {2, 50},
		"?verdict=malicious":             {1, 50},
		"?blocked=1":                     {1, 5},
		"?blocked=1&n=25&group=1":        {1, 5},
		"?client=192.0.2.3":              {2, 70},
		"?name=N7.example.":              {1, 10},
		"?domain=n7.example":             {1, 10},
		"?not=n1.example+n2.example":     {7, 330},
		"?not=*.n1.example&not=example":  {1, 0},
		"?group=1&n=25":                  {2, 35},
		"?group=1&order=count":           {1, 35},
		"?group=1&client=192.0.2.3&n=25": {2, 35},
		"?from=2001-01-01&to=2001-02-01": {1, 0},
	} {
		pages, found := s.walk("/console/history"+query, rows)
		if found != want[1] || pages != want[0] && pages != want[0]+1 { // the last page may be empty
			t.Errorf("%s: %d rows on %d pages, want %d on %d", query, found, pages, want[1], want[0])
		}
	}
	for query, text := range map[string]string{
		"":                       "<strong>350</strong> queries",
		"?flagged=1":             "<strong>50</strong> queries",
		"?blocked=1":             "<strong>5</strong> queries",
		"?client=192.0.2.3":      "<strong>70</strong> queries",
		"?client=192.0.2.3&n=25": "They were counted from rows",
	} {
		if body := s.page("/console/history" + query); !strings.Contains(body, text) {
			t.Errorf("%s: %q is not there", query, text)
		}
	}
	for _, query := range []string{"?from=x", "?from=2026-01-02&to=2026-01-01", "?range=2h", "?step=year", "?n=7", "?n=x",
		"?verdict=evil", "?cursor=%27", "?before=x", "?group=1&page=-1", "?step=minute&range=1y",
		"?not=" + strings.Repeat("a.example+b.example+", 1) + strings.Join(numbers(60), "+")} {
		if w := s.do("GET", "/console/history"+query, nil); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
	// A filter is a value, and no part of a statement.
	for _, attack := range []string{`' OR 1=1 --`, `"; DROP TABLE flagged; --`, `%`, `\`} {
		for _, key := range []string{"name", "domain", "client"} {
			_, found := s.walk("/console/history?"+key+"="+url.QueryEscape(attack), rows)
			if found != 0 {
				t.Errorf("%s=%s: %d rows", key, attack, found)
			}
		}
	}
	if _, found := s.walk("/console/history?n=500", rows); found != 350 {
		t.Errorf("%d rows are left", found)
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func testOverview(t *testing.T, s *site) {
	if _, err := s.ledger.Decide(t.Context(), ledger.Decision{Pattern: "*.n0.example", Verdict: ledger.Unsure,
		By: "ann"}); err != nil {
		t.Fatal(err)
	}
	body := s.page("/console/")
	for _, want := range []string{`<span class="big">350</span> queries`, `<span class="big">50</span> flagged`,
		`<span class="big">5</span> blocked`,
		`<span class="big">34</span> flagged names to vet`, `<span class="big">5</span> clients`,
		`<span class="made unsure">unsure</span> in force for <bdi>*.n0.example</bdi>`, `aria-label="Block n1.example"`,
		`aria-label="Block *.n`, `"name":"malicious"`, `client=192.0.2.`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not there", want)
		}
	}
	for _, query := range []string{"?range=1h", "?range=7d&flagged=1", "?range=30d", "?range=1y", "?range=24h&step=minute",
		"?range=24h&step=day", "?from=2026-01-01&to=2026-03-01"} {
		s.page("/console/" + query)
	}
	// A card's number is that of the rows behind its link.
	link := regexp.MustCompile(`<a href="([^"]*)"><span class="big">50</span> flagged`).FindStringSubmatch(body)
	if link == nil {
		t.Fatal("no link")
	}
	if _, found := s.walk(html.UnescapeString(link[1]), regexp.MustCompile(`<tr><td><time`)); found != 50 {
		t.Errorf("%d rows behind the card", found)
	}
}

func TestStreams(t *testing.T) {
	s := newSite(t)
	t.Run("packed", func(t *testing.T) { testPacked(t, s) })
	t.Run("exports", func(t *testing.T) { testExports(t, s) })
	t.Run("live", func(t *testing.T) { testLiveStream(t, s) })
}

func testExports(t *testing.T, s *site) {
	bad := []string{"=1+1.example", "@sum.example", "<b>.example", "a\u202eb.example"}
	var all []store.Event
	for i, name := range bad {
		all = append(all, store.Event{Time: time.Now().Add(-time.Duration(i) * time.Second), Name: name, Client: "-1" + name,
			Class: "benign", Reason: "+" + name, Entry: "\t=cmd", Score: 0.5, Rule: detect.Score})
	}
	s.store.Append(all)
	s.flush()
	w := s.do("GET", "/console/history.csv", nil)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment;") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	lines, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(lines) != len(bad)+1 {
		t.Fatal(len(lines), err)
	}
	for _, line := range lines[1:] {
		for _, cell := range line {
			if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t") || strings.ContainsAny(cell, "\t\u202e") {
				t.Errorf("a cell is %q", cell)
			}
		}
	}
	w = s.do("GET", "/console/history.jsonl?name="+url.QueryEscape(bad[0]), nil)
	var row struct{ Name, Verdict string }
	if err := json.Unmarshal(w.Body.Bytes(), &row); err != nil || row.Name != bad[0] || row.Verdict != "benign" {
		t.Errorf("%v %+v %s", err, row, w.Body)
	}
	lines2, err := s.ledger.Audits(t.Context(), "", 0, 10)
	if err != nil || len(lines2) < 2 || lines2[1].What != "export" ||
		lines2[0].What != "export" || !strings.Contains(lines2[0].About, "jsonl") {
		t.Errorf("the audit has %+v, %v", lines2, err)
	}
	cookie := s.cookie
	defer func() { s.cookie = cookie }()
	s.cookie = ""
	if w := s.do("GET", "/console/history.csv", nil); w.Code != http.StatusSeeOther {
		t.Errorf("without a session: %d", w.Code)
	}
	if w := s.do("GET", "/console/live/stream", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("a stream without a session: %d", w.Code)
	}
}

func testPacked(t *testing.T, s *site) {
	w := s.do("GET", "/console/history", nil, "Accept-Encoding", "gzip, br")
	r, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(body), "</html>") || w.Header().Get("Content-Encoding") != "gzip" ||
		!strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
		t.Errorf("%v, %v, %d bytes", err, w.Header(), len(body))
	}
}

// stream opens a live stream at a server, and gives its lines.
func (s *site) stream(ctx context.Context, query string) (lines <-chan string, done func()) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Serve(serving, l, nil) }()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr().String()+"/console/live/stream"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "degas", Value: s.cookie})
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.Header.Get("Content-Type") != "text/event-stream" ||
		answer.Header.Get("X-Accel-Buffering") != "no" {
		s.t.Fatal(err, answer)
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer answer.Body.Close()
		for scan := bufio.NewScanner(answer.Body); scan.Scan(); {
			out <- scan.Text()
		}
	}()
	return out, func() {
		stop()
		if err := <-stopped; err != nil {
			s.t.Error(err)
		}
	}
}

// A stream shows hostile names as text, outlasts the time for a request, and ends when the server stops.
func testLiveStream(t *testing.T, s *site) {
	lines, done := s.stream(t.Context(), "?flagged=1")
	var all []store.Event
	for _, name := range hostile {
		all = append(all, store.Event{Time: time.Now(), Name: name, Client: name, Verdict: detect.Malicious, Class: "dga"},
			store.Event{Time: time.Now(), Name: "plain.example", Class: "benign"})
	}
	time.Sleep(1200 * time.Millisecond) // longer than a request may take to arrive in this test
	s.pages.Feed.Publish(all)
	var batch struct {
		Rows      []struct{ Name, HTML string }
		Fit, Seen int
	}
	id := ""
	for line := range lines {
		if strings.HasPrefix(line, "id: ") {
			id = line
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &batch); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if len(batch.Rows) != len(hostile) || batch.Fit != len(hostile) || batch.Seen != 2*len(hostile) || id == "" {
		t.Errorf("%d rows, %d of %d, %q", len(batch.Rows), batch.Fit, batch.Seen, id)
	}
	for _, row := range batch.Rows {
		if !strings.HasPrefix(row.HTML, "<tr ") || strings.Contains(row.HTML, "<script") ||
			strings.Contains(row.HTML, `"onmouseover`) {
			t.Errorf("%s", row.HTML)
		}
	}
	start := time.Now()
	done()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the server stopped after %v", took)
	}
	ended := false
	for line := range lines {
		ended = ended || line == "event: end"
	}
	if !ended {
		t.Error("the page is not told that the stream is over")
	}
}
