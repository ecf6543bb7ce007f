package fetch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/degas-dns/degas/internal/dirlock"
)

// TestMain lets the test binary play a second process: fetching until it is killed, or holding the lock.
func TestMain(m *testing.M) {
	dir := os.Getenv("DEGAS_FETCH_DIR")
	switch os.Getenv("DEGAS_FETCH_CHILD") {
	case "fetch":
		_, err := New(Options{}).Fetch(context.Background(), dir, []File{{Path: "f", URL: os.Getenv("DEGAS_FETCH_URL")}})
		fmt.Println("ended:", err)
		os.Exit(1)
	case "lock":
		if _, err := dirlock.LockInside(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, mode, dir, url string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "DEGAS_FETCH_CHILD="+mode, "DEGAS_FETCH_DIR="+dir, "DEGAS_FETCH_URL="+url)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestKillThenResume(t *testing.T) {
	data := content(4_000_000, 20)
	s := newServer(t, map[string][]byte{"/f": data})
	reached := make(chan struct{})
	hold := make(chan struct{})
	s.mu.Lock() // the request comes from another process: nothing else orders it after this write
	s.before = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			w.Header().Set("ETag", `"`+sum(data)[:8]+`"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:2_500_000])
			w.(http.Flusher).Flush()
			close(reached)
			<-hold
		}
		return n == 1
	}
	s.mu.Unlock()
	dir := t.TempDir()
	cmd := child(t, "fetch", dir, s.URL+"/f")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	waitFor(t, func() bool {
		info, err := os.Stat(filepath.Join(dir, "f.part"))
		return err == nil && info.Size() > 1_000_000
	})
	_ = cmd.Process.Kill() // SIGKILL where there are signals
	_ = cmd.Wait()
	close(hold)
	if _, err := os.Stat(filepath.Join(dir, "f")); err == nil {
		t.Fatal("a killed download must not leave the file")
	}
	res, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"})
	if err != nil || res.Resumed < 1_000_000 || res.Fetched+res.Resumed != 4_000_000 {
		t.Fatal(res, err)
	}
	wantFile(t, dir, "f", data)
}

func TestTwoProcesses(t *testing.T) {
	data := content(100, 21)
	s := newServer(t, map[string][]byte{"/f": data})
	dir := t.TempDir()
	cmd := child(t, "lock", dir, "")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("child says %q", line)
	}
	_, err = fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"})
	if !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("error %v", err)
	}
	wantError(t, err, dir, "another degas works on it")
	if s.count() != 0 {
		t.Error("the network was asked all the same")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := fetchOne(t, quick(Options{}), dir, File{Path: "f", URL: s.URL + "/f"}); err != nil {
		t.Fatal("the lock outlives its process:", err)
	}
	wantFile(t, dir, "f", data)
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for range 1000 {
		if cond() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("waited in vain") // not Fatal: also called beside the test's own goroutine
}
