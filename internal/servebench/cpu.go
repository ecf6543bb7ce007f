package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is USER_HZ, which is 100 on every Linux that Go runs on.
const ticks = 100

// process is what /proc/PID/stat says of a process.
type process struct {
	parent int
	used   int64 // ticks of processor time, without those of children
}

// used returns the seconds of processor time of all processes below root and, if root is 0, of this process alone.
func used(root int) float64 {
	own := os.Getpid()
	if root == 0 {
		p, _ := stat(own)
		return float64(p.used) / ticks
	}
	all := map[int]process{}
	paths, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if p, ok := stat(pid); ok { // a process may have ended meanwhile
			all[pid] = p
		}
	}
	var sum int64
	for pid, p := range all {
		if pid != own && below(all, pid, root) {
			sum += p.used
		}
	}
	return float64(sum) / ticks
}

func below(all map[int]process, pid, root int) bool {
	for range len(all) {
		p, ok := all[pid]
		if !ok {
			return false
		}
		if p.parent == root {
			return true
		}
		pid = p.parent
	}
	return false
}

// stat reads the numbers behind the program's name, which may hold blanks and brackets.
func stat(pid int) (p process, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, false
	}
	at := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text[at+1:]))
	if len(fields) < 13 {
		return p, false
	}
	p.parent, err = strconv.Atoi(fields[1])
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64)
		p.used += n
	}
	return p, err == nil
}
