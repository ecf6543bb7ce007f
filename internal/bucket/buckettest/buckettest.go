// Package buckettest is an S3 server in a test's process, with faults on demand.
package buckettest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Bucket is the one that a Server has.
const Bucket = "data"

// The credentials that a Server takes. It does not look at the secret.
const (
	Key    = "TESTKEY"
	Secret = "TESTSECRET"
)

// Server is an S3 server in memory.
type Server struct {
	URL string

	mu    sync.Mutex
	fault func(http.ResponseWriter, *http.Request) bool
	asked []string
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	s := &Server{}
	s3 := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		fault := s.fault
		s.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		if auth := r.Header.Get("Authorization"); auth != "" && !strings.Contains(auth, "Credential="+Key+"/") {
			Refuse(w, http.StatusForbidden, "InvalidAccessKeyId", "The access key does not exist in our records.")
			return
		}
		if r.Header.Get("Range") != "" {
			w = &partial{ResponseWriter: w}
		}
		s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// partial corrects gofakes3 where it sends a part: it says 200, and the checksum of the whole file.
type partial struct {
	http.ResponseWriter
	begun bool
}

func (p *partial) Write(data []byte) (int, error) {
	if !p.begun && p.Header().Get("Content-Range") != "" {
		for key := range p.Header() {
			if strings.HasPrefix(strings.ToLower(key), "x-amz-checksum-") {
				delete(p.Header(), key)
			}
		}
		p.WriteHeader(http.StatusPartialContent)
	}
	p.begun = true
	return p.ResponseWriter.Write(data)
}

// Env is the environment in which a process finds the server and its credentials, as KEY=value.
func (s *Server) Env() []string {
	return []string{"AWS_ENDPOINT_URL_S3=" + s.URL, "AWS_ACCESS_KEY_ID=" + Key, "AWS_SECRET_ACCESS_KEY=" + Secret,
		"AWS_REGION=", "AWS_CONFIG_FILE=/nowhere", "AWS_SHARED_CREDENTIALS_FILE=/nowhere",
		"AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=*"}
}

// Use makes t's process find the server.
func (s *Server) Use(t *testing.T) *Server {
	t.Helper()
	for _, e := range s.Env() {
		key, value, _ := strings.Cut(e, "=")
		t.Setenv(key, value)
	}
	return s
}

// Fault sets what answers requests first, until it is nil: true if it has answered.
func (s *Server) Fault(fault func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Asked lists the requests since the last call, as "GET /data/file".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// Refuse answers with an error as S3 does.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>` + message +
		`</Message></Error>`))
}
