package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// certificate writes a certificate of its own and its key to a folder.
func certificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der},
		key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// The server speaks TLS and HTTP/2, and takes a renewed certificate. Half a renewal changes nothing.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, 1)
	log := slog.New(slog.DiscardHandler)
	certificates, err := serve.LoadCertificates(cert, key, log)
	if err != nil {
		t.Fatal(err)
	}
	certificates.Look = time.Nanosecond
	s := builtin(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, certificates) }()
	serial := func() (n int64) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		defer client.CloseIdleConnections()
		resp, err := client.Get("https://" + l.Addr().String() + "/v1/names?name=a.example")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
			t.Errorf("%v", resp)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 1 {
		t.Errorf("after half a renewal: certificate %d", n)
	}
	certificate(t, dir, 2)
	if n := serial(); n != 2 {
		t.Errorf("after a renewal: certificate %d", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := serve.LoadCertificates(key, cert, log); err == nil || !strings.Contains(err.Error(), "belong together") {
		t.Errorf("the wrong way round: %v", err)
	}
}

// What people decide, and a new version of the model, are in force soon.
func TestEngine(t *testing.T) {
	dir := t.TempDir()
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	save := func(version string, threshold float64) {
		t.Helper()
		other := *m
		other.Threshold = threshold
		if err := other.Save(filepath.Join(dir, "m", version)); err != nil {
			t.Fatal(err)
		}
	}
	save("1", m.Threshold)
	set, err := models.Open(nil, models.Source{Dir: filepath.Join(dir, "m")})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), filepath.Join(dir, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	engine, err := serve.NewEngine(serve.EngineOptions{Models: set, Model: "m", Decided: l,
		Policy: detect.Options{Action: detect.Report}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Options{Models: set, Engine: engine, Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := make(chan *detect.Policy, 100)
	go engine.Run(ctx, func(p *detect.Policy) { changes <- p }, func(err error) { t.Error(err) })
	go set.Watch(ctx, 20*time.Millisecond)
	wait := func(name, verdict string, version int) {
		t.Helper()
		var answer struct {
			Version int
			Names   []struct{ Verdict string }
		}
		for range 2000 {
			w := ask(t, s, "GET", "/v1/names?name="+name, "")
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if answer.Version == version && answer.Names[0].Verdict == verdict {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s: %+v, want %s by version %d", name, answer, verdict, version)
	}
	const name = "xjpakmdcfuqe.biz"
	wait(name, "malicious", 1)
	body := `{"pattern": "` + name + `", "verdict": "allow"}`
	if w := ask(t, s, "POST", "/v1/decisions", body, "Content-Type", "application/json"); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	wait(name, "allowed", 1)
	if w := ask(t, s, "DELETE", "/v1/decisions/1", ""); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	wait(name, "malicious", 1)
	// Whoever waits to see a decision in force need not wait for the next look; Run tells of it all the same.
	before := len(changes)
	if _, err := l.Decide(t.Context(), ledger.Decision{Pattern: name, Verdict: ledger.Block, By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if err := engine.Refresh(); err != nil {
		t.Fatal(err)
	}
	if p, _ := engine.Policy(); p.Decide(name).Verdict != detect.Blocked {
		t.Error("Refresh did not put the decision in force")
	}
	for i := 0; len(changes) == before; i++ {
		if time.Sleep(10 * time.Millisecond); i > 2000 {
			t.Fatal("nobody was told of what Refresh put in force")
		}
	}
	if _, _, err := l.Revoke(t.Context(), 2, "ann"); err != nil {
		t.Fatal(err)
	}
	save("2", 0.999999)
	wait(name, "benign", 2)
	if len(changes) < 3 {
		t.Errorf("%d changes were told of", len(changes))
	}
}
