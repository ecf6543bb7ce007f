package console

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/serve/accounts"
)

// Nothing is changed by GET, and by nobody who only reads.
func TestScreensRoles(t *testing.T) {
	c := &Console{}
	for _, s := range c.screens() {
		method, path, _ := strings.Cut(s.pattern, " ")
		switch {
		case method == "GET":
		case path == "/console/login", path == "/console/welcome", path == "/console/logout",
			strings.HasPrefix(path, "/console/account"): // of the person's own
		case s.role != accounts.Vetter && s.role != accounts.Admin:
			t.Errorf("%s is for the role %q", s.pattern, s.role)
		}
	}
}
