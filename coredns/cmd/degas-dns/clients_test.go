package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// certificate writes one for this machine and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: signed},
		key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// verdicts are what each action gives, as dig and kdig show it.
var verdicts = []struct {
	action []string
	status string
	answer string // a pattern
	soa    bool
}{
	{[]string{"--action", "nxdomain"}, "NXDOMAIN", "", true},
	{[]string{"--action", "nodata"}, "NOERROR", "", true},
	{[]string{"--action", "refused"}, "REFUSED", "", false},
	{[]string{"--action", "sinkhole", "--sinkhole", "192.0.2.7"}, "NOERROR",
		`(?m)^xjpakmdcfuqe\.biz\.\s+30\s+IN\s+A\s+192\.0\.2\.7$`, false},
}

// command runs a program, and gives what it prints. The test is over if it is not installed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name, "is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestDigAndKdig shows verdicts to people's tools, one of them over every transport, and their reason to those that ask
// with EDNS.
func TestDigAndKdig(t *testing.T) {
	cert, key := certificate(t, t.TempDir())
	for i, v := range verdicts {
		tls, https, quic := freePort(t), freePort(t), freePort(t)
		plain := serve(t, append([]string{"--upstream", startVaried(t), "--tls", tls, "--https", https, "--quic", quic,
			"--cert", cert, "--key", key}, v.action...)...)
		for _, c := range []struct {
			program, address string
			edns             bool
			flags            []string
		}{
			{"dig", plain, true, nil},
			{"dig", plain, true, []string{"+tcp"}},
			{"dig", plain, false, []string{"+noedns"}},
			{"dig", tls, true, []string{"+tls"}},
			{"dig", https, true, []string{"+https"}},
			{"kdig", plain, true, []string{"+edns"}},
			{"kdig", plain, false, []string{"+noedns"}},
			{"kdig", plain, false, []string{"+noedns", "+tcp"}},
			{"kdig", tls, true, []string{"+edns", "+tls-ca=" + cert, "+tls-hostname=localhost"}},
			{"kdig", https, true, []string{"+edns", "+tls-ca=" + cert, "+tls-hostname=localhost", "+https"}},
			{"kdig", quic, true, []string{"+edns", "+quic"}},
		} {
			if i > 0 && c.address != plain {
				continue // every action takes the same way
			}
			t.Run(v.action[1]+" "+c.program+" "+strings.Join(c.flags, " "), func(t *testing.T) {
				host, port, _ := net.SplitHostPort(c.address)
				for range 2 {
					got := command(t, c.program, append([]string{"@" + host, "-p", port, blockedName, "A"}, c.flags...)...)
					for what, is := range map[string]bool{
						"status":    strings.Contains(got, "status: "+v.status),
						"RA":        regexp.MustCompile(`(?i)flags: qr rd ra;`).MatchString(got),
						"OPT":       strings.Contains(got, "PSEUDOSECTION") == c.edns,
						"EDE":       regexp.MustCompile(`EDE: 15 \(Blocked\): .degas class=dga score=1\.000`).MatchString(got) == c.edns,
						"SOA":       regexp.MustCompile(`\s30\s+IN\s+SOA\s+blocked\.degas\.invalid\.`).MatchString(got) == v.soa,
						"an answer": v.answer == "" || regexp.MustCompile(v.answer).MatchString(got),
						"a warning": !strings.Contains(strings.ToUpper(got), "WARNING"),
					} {
						if !is {
							t.Errorf("%s is wrong:\n%s", what, got)
						}
					}
				}
			})
		}
	}
}

// TestGoResolver resolves with Go's own client.
func TestGoResolver(t *testing.T) {
	for _, v := range append(verdicts, struct {
		action []string
		status string
		answer string
		soa    bool
	}{action: []string{"--action", "drop"}, status: "silence"}) {
		server := serve(t, append([]string{"--upstream", startVaried(t)}, v.action...)...)
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}}
		for range 2 {
			wait := 5 * time.Second
			if v.status == "silence" {
				wait = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			addresses, err := r.LookupNetIP(ctx, "ip4", blockedName)
			var wrong *net.DNSError
			switch isError := errors.As(err, &wrong); v.status {
			case "NXDOMAIN":
				if !isError || !wrong.IsNotFound {
					t.Errorf("%v: %v, %v", v.action, addresses, err)
				}
			case "REFUSED", "silence":
				if !isError || wrong.IsNotFound {
					t.Errorf("%v: %v, %v", v.action, addresses, err)
				}
			default:
				if v.answer == "" && (!isError || !wrong.IsNotFound) ||
					v.answer != "" && (len(addresses) != 1 || addresses[0].String() != "192.0.2.7") {
					t.Errorf("%v: %v, %v", v.action, addresses, err)
				}
			}
			cancel()
			ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second)
			if addresses, err = r.LookupNetIP(ctx, "ip4", passedName); err != nil || len(addresses) != 2 {
				t.Errorf("%v: %s: %v, %v", v.action, passedName, addresses, err)
			}
			cancel()
		}
	}
}

const pythonScript = `
import sys
import dns.edns, dns.flags, dns.message, dns.query, dns.rcode, dns.rdatatype
host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for ask in dns.query.udp, dns.query.tcp:
    for edns in 0, -1:
        query = dns.message.make_query(name, "A", use_edns=edns)
        answer = ask(query, host, port=port, timeout=10)
        print(dns.rcode.to_text(answer.rcode()), dns.flags.to_text(answer.flags), "edns=%d" % answer.edns,
              [o.to_text() for o in answer.options], [r.to_text() for r in answer.authority])
`

// python is an interpreter that has dnspython.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import dns.message").Run() == nil {
			return name
		}
	}
	t.Skip("dnspython is not installed")
	return ""
}

func TestDNSPython(t *testing.T) {
	server := serve(t, "--upstream", startVaried(t), "--action", "nxdomain")
	host, port, _ := net.SplitHostPort(server)
	got := strings.Split(strings.TrimSpace(command(t, python(t), "-c", pythonScript, host, port, blockedName)), "\n")
	if len(got) != 4 {
		t.Fatalf("got %q", got)
	}
	for i, line := range got {
		edns := i%2 == 0
		for _, part := range []string{"NXDOMAIN QR RD RA ", "IN SOA blocked.degas.invalid."} {
			if !strings.Contains(line, part) {
				t.Errorf("no %q in %s", part, line)
			}
		}
		if strings.Contains(line, "edns=0") != edns || strings.Contains(line, "degas class=dga score=1.000") != edns {
			t.Errorf("EDNS, want %v: %s", edns, line)
		}
	}
}
