package degas

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// version puts a version of a model into a folder, with a threshold.
func version(t *testing.T, dir string, threshold float64) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o755), modeltest.Small(threshold, nil).Save(dir)); err != nil {
		t.Fatal(err)
	}
}

// A new version decides within seconds, a broken one leaves the one before it, and one that is taken away gives way to
// the one before. Every query is answered meanwhile, and what was remembered is forgotten.
func TestNewestVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	version(t, filepath.Join(dir, "1"), .99)                            // nothing is malicious
	if err := os.MkdirAll(filepath.Join(dir, "2"), 0o755); err != nil { // broken: version 1 answers
		t.Fatal(err)
	}
	below := test.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		return dns.RcodeSuccess, w.WriteMsg(new(dns.Msg).SetReply(r))
	})
	d := start(t, "degas {\nmodel "+dir+"\naction dga nxdomain\n}", below)
	if called := d.called(); !strings.HasPrefix(called, "shop/1@") {
		t.Errorf("the model is %s", called)
	}
	ask := func() int {
		rec := dnstest.NewRecorder(&test.ResponseWriter{})
		_, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(generated, dns.TypeA))
		if err != nil || rec.Msg == nil {
			t.Errorf("no answer: %v", err)
			return -1
		}
		return rec.Msg.Rcode
	}
	until := func(what string, rcode int, called string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ask() != rcode || !strings.HasPrefix(d.called(), called); {
			if time.Now().After(end) {
				t.Fatalf("%s: %s decides", what, d.called())
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	stop := make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				ask()
			}
		}
	})
	defer flood.Wait()
	defer close(stop)
	until("at first", dns.RcodeSuccess, "shop/1@")
	version(t, filepath.Join(dir, "3"), .01)
	until("version 3", dns.RcodeNameError, "shop/3@")
	if err := os.MkdirAll(filepath.Join(dir, "4"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "4", model.SpecFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	until("version 4 is broken", dns.RcodeNameError, "shop/3@")
	if err := os.Rename(filepath.Join(dir, "3"), filepath.Join(dir, "away")); err != nil { // as Demote does
		t.Fatal(err)
	}
	until("version 3 is taken back", dns.RcodeSuccess, "shop/1@")
}
