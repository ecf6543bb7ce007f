package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve"
)

// untrained is a small model with the weights that training would begin from.
func untrained(t *testing.T) *model.Model {
	t.Helper()
	spec, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	w, err := model.Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &model.Model{Spec: spec, Weights: w, Threshold: 0.5}
}

// startServer starts degas serve; its exit status comes when it was interrupted.
func startServer(t *testing.T) (url string, interrupt func(), ended <-chan int) {
	t.Helper()
	dir := t.TempDir()
	if err := untrained(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	t.Cleanup(interrupt)
	in, out := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"degas", "serve", dir, "--name", "m", "--addr", "127.0.0.1:0"}, strings.NewReader(""),
			out, io.Discard)
		out.Close()
	}()
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), interrupt, status
}

// The server prints where it is, answers, and stops when it is interrupted.
func TestServe(t *testing.T) {
	url, interrupt, ended := startServer(t)
	resp, err := http.Post(url+":predict", "application/json", strings.NewReader(`{"instances": ["a.com"]}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(data), `"predictions":[{"label":`) {
		t.Errorf("%s: %s, %v", resp.Status, data, err)
	}
	interrupt()
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// stalled is a connection that has sent half of a request.
func stalled(t *testing.T, url string) net.Conn {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST /%s:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
		path); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A client that does not go on is cut off, and an interrupt does not wait for it.
func TestServeStalledClient(t *testing.T) {
	defer func(l serve.Limits) { serveLimits = l }(serveLimits)
	serveLimits = serve.Limits{Shutdown: 100 * time.Millisecond, Body: 200 * time.Millisecond}
	url, interrupt, ended := startServer(t)
	resp, err := http.ReadResponse(bufio.NewReader(stalled(t, url)), nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a body that does not come: %v, %v", resp, err)
	}
	interrupt()
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
	serveLimits.Body = time.Hour
	url, interrupt, ended = startServer(t)
	conn := stalled(t, url)
	time.Sleep(50 * time.Millisecond) // a request that has begun, not a connection that nothing came over
	interrupt()
	if code := <-ended; code != 0 {
		t.Errorf("with a client that stalls: exit status %d", code)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("its connection is still open")
	}
}
