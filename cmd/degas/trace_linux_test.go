package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracedEnv makes the test binary act as degas that stops for its tracer at each call that changes a name.
const tracedEnv = "DEGAS_TEST_AS_TRACED_COMMAND"

// nameCalls are the system calls that change a name. Go makes no others, such as rename or mkdir.
var nameCalls = map[uint64]string{
	unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "exchange", unix.SYS_LINKAT: "link",
	unix.SYS_SYMLINKAT: "symlink", unix.SYS_UNLINKAT: "unlink", unix.SYS_MKDIRAT: "mkdir",
}

func init() {
	if os.Getenv(tracedEnv) == "" {
		return
	}
	if err := stopAtNameCalls(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// stopAtNameCalls gives all threads of this process a seccomp filter that lets every call through, and tells the tracer
// of those in nameCalls.
func stopAtNameCalls() error {
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
		unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{{Code: load, K: 0}} // the call's number
	left := uint8(len(nameCalls))
	for call := range nameCalls {
		filter = append(filter, unix.SockFilter{Code: equal, K: uint32(call), Jt: left})
		left--
	}
	filter = append(filter, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_TRACE})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	runtime.UnlockOSThread()
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// tracedDegas runs degas in dir and kills it as it enters its call number kill, from 1, that changes a name. It returns
// these calls, the last of which was not made if the process was killed, and what the process wrote to stderr.
func tracedDegas(t *testing.T, dir string, kill int, args ...string) (calls []string, killed bool, said string) {
	t.Helper()
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pid, err := syscall.ForkExec(exe, append([]string{"degas"}, args...), &syscall.ProcAttr{
		Dir: dir, Env: append(os.Environ(), tracedEnv+"=1", "GOMAXPROCS=1"), // one: fewer orders of the same calls
		Files: []uintptr{0, out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil || !status.Stopped() {
		t.Fatalf("start a traced process: %v, status %x", err, status)
	}
	err = unix.PtraceSetOptions(pid, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACESECCOMP)
	if err != nil {
		t.Fatal(err)
	}
	for thread := pid; ; {
		if err := resume(thread, status); err != nil {
			t.Fatal(err)
		}
		if thread, err = unix.Wait4(-pid, &status, unix.WALL, nil); err != nil {
			t.Fatal(err)
		}
		if !status.Stopped() {
			if thread == pid {
				break
			}
			continue
		}
		if status.TrapCause() != unix.PTRACE_EVENT_SECCOMP {
			continue
		}
		call, err := callOf(thread)
		if err != nil {
			t.Fatal(err)
		}
		if calls = append(calls, call); len(calls) == kill {
			killed = true
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !killed && status.ExitStatus() != 0 {
		t.Fatalf("degas %v: exit status %d: %s", args, status.ExitStatus(), text)
	}
	return calls, killed, string(text)
}

// resume lets a stopped thread go on, with the signal that stopped it unless that came of tracing.
func resume(thread int, status unix.WaitStatus) error {
	if !status.Stopped() {
		return nil
	}
	signal := int(status.StopSignal())
	if signal == int(unix.SIGTRAP) || signal == int(unix.SIGSTOP) {
		signal = 0
	}
	if err := unix.PtraceCont(thread, signal); err != nil && !errors.Is(err, unix.ESRCH) { // it may have been killed
		return err
	}
	return nil
}

// callOf describes the call that a thread, which the filter has stopped, is about to make.
func callOf(thread int) (string, error) {
	var info [88]byte // struct ptrace_syscall_info: the number at 24, arguments from 32 on
	const request = 0x420e
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, request, uintptr(thread), uintptr(len(info)),
		uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return "", fmt.Errorf("read a system call: %w", errno)
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(info[24+8*i:]) }
	name := nameCalls[word(0)]
	call := name
	arguments := map[string][]int{"rename": {2, 4}, "exchange": {2, 4}, "link": {2, 4}, "symlink": {1, 3}}[name]
	if arguments == nil {
		arguments = []int{2}
	}
	for _, i := range arguments {
		var text [512]byte
		n, err := unix.PtracePeekData(thread, uintptr(word(i)), text[:])
		if n == 0 {
			return "", err
		}
		path, _, _ := bytes.Cut(text[:n], []byte{0})
		call += " " + string(path)
	}
	return call, nil
}
