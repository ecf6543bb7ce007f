package serve

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

// A request is in work once its body is here. Others find no place then, and an address gets half of those that wait.
func TestPlaces(t *testing.T) {
	p := newPlaces(2)
	enter := func(from, body string) (*place, io.Reader, error) {
		r := httptest.NewRequest("POST", "/", nil)
		if body != "" {
			r = httptest.NewRequest("POST", "/", strings.NewReader(body))
		}
		r.RemoteAddr = from + ":1"
		x, err := p.enter(r)
		return x, r.Body, err
	}
	var open []*place
	var bodies []io.Reader
	for range 8 {
		x, b, err := enter("192.0.2.1", "a")
		if err != nil {
			t.Fatal(err)
		}
		open, bodies = append(open, x), append(bodies, b)
	}
	if _, _, err := enter("192.0.2.1", "a"); err == nil {
		t.Error("one address has more than half of the places")
	}
	last, _, err := enter("192.0.2.2", "") // without a body: in work
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(bodies[0]); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(bodies[1]); err != errBusy {
		t.Errorf("a third request in work: %v", err)
	}
	if _, _, err := enter("192.0.2.3", ""); err != errBusy {
		t.Errorf("a third request in work, without a body: %v", err)
	}
	last.leave()
	if _, err := io.ReadAll(bodies[2]); err != nil {
		t.Errorf("when there is a place again: %v", err)
	}
	for _, x := range open {
		x.leave()
	}
	if p.open != 0 || p.working != 0 || len(p.from) != 0 {
		t.Errorf("%+v", p)
	}
}
