package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/models"
)

// serveProcess starts degas serve in a process of its own, whose memory can be measured.
func serveProcess(t *testing.T) (url string, peak func() int64) {
	t.Helper()
	dir := t.TempDir()
	spec, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	spec.Layers = []model.Layer{ // fast to score
		{Kind: model.KindEmbedding, Rows: spec.Codes(), Dim: 1}, {Kind: model.KindGlobalMaxPool},
		{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
	}
	weights, err := model.Initial(&spec, 1)
	if err == nil {
		err = (&model.Model{Spec: spec, Weights: weights, Threshold: 0.5}).Save(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, log := degasProcess(t, dir, "serve", dir, "--name", "m", "--addr", "127.0.0.1:0")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		if _ = c.Wait(); strings.Contains(log.String(), "goroutine") {
			t.Errorf("the server ended by itself: %.2000s", log)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), func() int64 {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
		if err != nil {
			t.Skip("the peak of another process's memory: ", err)
		}
		kib := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
		if kib == nil {
			t.Fatalf("the server has ended")
		}
		n, err := strconv.ParseInt(string(kib[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n << 10
	}
}

// attack sends a request with a body and reads no more than the first byte of its answer. The connection stays open.
func attack(t *testing.T, url, body string) {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { conn.Close() })
	head := fmt.Sprintf("POST /%s:predict HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
	_, err = io.Copy(conn, io.MultiReader(strings.NewReader(head), strings.NewReader(body)))
	if err == nil {
		_, _ = conn.Read(make([]byte, 1))
	}
}

// Whatever strangers ask, memory stays bounded, and an ordinary client gets its answer.
func TestServeUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("sends gigabytes; go test ./... runs it")
	}
	rows := `{"instances": ["` + strings.Repeat(`a","`, 99_999) + `"]}`
	numbers := `{"signature_name": "ids", "instances": [[1` + strings.Repeat(",1", 33_000_000) + `]]}`
	name := `{"instances": ["` + strings.Repeat("a", 64<<20-100) + `"]}`
	for _, tc := range []struct {
		name, body string
		clients    int
	}{
		{"one request of 33 million numbers", numbers, 1},
		{"the largest requests at once", name, 12},
		{"largest answers that nobody reads", rows, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url, peak := serveProcess(t)
			var attackers sync.WaitGroup
			for range tc.clients {
				attackers.Go(func() { attack(t, url, tc.body) })
			}
			done := make(chan struct{})
			go func() { attackers.Wait(); close(done) }()
			answers, slowest := 0, time.Duration(0)
			for over := false; !over || answers == 0; {
				select {
				case <-done:
					over = true
				case <-time.After(50 * time.Millisecond):
				}
				began := time.Now()
				resp, err := http.Post(url+":predict", "application/json", bytes.NewBufferString(`{"instances": ["a.com"]}`))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("an ordinary client: %s", resp.Status)
				}
				answers, slowest = answers+1, max(slowest, time.Since(began))
			}
			t.Logf("peak %d MiB, %d ordinary answers, the slowest after %v", peak()>>20, answers, slowest)
			if peak() > models.Memory+models.Memory/4 {
				t.Error("which is far more than the bound")
			}
		})
	}
}
