package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/serve/decisions"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/token"
)

// guarded puts every guard before the routes, and counts.
//
// The guards against web pages: a page of another origin can send a request, but the browser says so (Sec-Fetch-Site,
// Origin), and net/http's CrossOriginProtection refuses it unless it only reads. A page whose name was bound to this
// server's address has the same origin; its name in Host is not one of Options.Hosts. A client that is no browser sends
// neither, and is told apart by its token alone.
func (s *Server) guarded(routes *http.ServeMux) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		_, pattern := routes.Handler(r)
		path := routeOf(pattern)
		answer := &recorded{ResponseWriter: w}
		defer func() {
			s.metrics.requests.WithLabelValues(path, strconv.Itoa(answer.code())).Inc()
			s.metrics.took.WithLabelValues(path).Observe(time.Since(start).Seconds())
		}()
		h := answer.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		refuse := func(reason string, err error) {
			s.metrics.refused.WithLabelValues(reason).Inc()
			s.reply.Failed(answer, r, err)
		}
		if s.o.Hosts != nil && !slices.Contains(s.o.Hosts, hostOf(r.Host)) {
			refuse("host", &reply.Failure{Status: http.StatusMisdirectedRequest,
				Text: "The Host header names another server. Try: --host NAME for each name that clients use"})
			return
		}
		if err := foreign.Check(r); err != nil {
			refuse("origin", &reply.Failure{Status: http.StatusForbidden, Text: "A web page of another origin may not do this",
				Cause: err})
			return
		}
		scope := s.scopes[pattern]
		who := "local"
		if s.o.Tokens != nil && scope != "" {
			var f *reply.Failure
			who, f = s.allowed(r, scope)
			if f != nil {
				if f.Status == http.StatusUnauthorized {
					h.Set("WWW-Authenticate", `Bearer realm="degas"`)
				}
				refuse("token", f)
				return
			}
		}
		r = r.WithContext(decisions.WithWho(r.Context(), who))
		stream, page := s.pages[pattern]
		waits := stream || strings.HasPrefix(path, "/v1/lists/") // for a change; their packages bound how many do
		// Health and metrics answer however busy the server is.
		if (page || scope != "" && scope != token.Metrics) && !waits {
			p, err := s.places.enter(r)
			if err != nil {
				refuse("busy", err)
				return
			}
			defer p.leave()
		}
		if !waits {
			ctx, cancel := context.WithTimeoutCause(r.Context(), s.o.Limits.Answer, errTooLong)
			defer cancel()
			r = r.WithContext(ctx)
		}
		defer busy(r.Context())()
		routes.ServeHTTP(answer, r)
	})
}

// errTooLong is the cause of a context that Limits.Answer ended.
var errTooLong error = &reply.Failure{Status: http.StatusServiceUnavailable, Retry: time.Second,
	Text: "The answer took too long: send fewer names at once, or try again"}

// allowed says who sent a request, or why it may not.
func (s *Server) allowed(r *http.Request, scope token.Scope) (who string, f *reply.Failure) {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	t, err := s.o.Tokens.Check(r.Header.Get("Authorization"), from.Addr())
	var tooMany *token.TooMany
	switch {
	case errors.As(err, &tooMany):
		return "", &reply.Failure{Status: http.StatusTooManyRequests, Retry: tooMany.Retry,
			Text: "Too many wrong tokens came from this address"}
	case errors.Is(err, token.ErrMissing):
		return "", &reply.Failure{Status: http.StatusUnauthorized, Cause: err,
			Text: "The request needs a token: Authorization: Bearer …"}
	case err != nil:
		return "", &reply.Failure{Status: http.StatusUnauthorized, Text: "The token is not accepted: " + err.Error()}
	case !t.Has(scope):
		return "", &reply.Failure{Status: http.StatusForbidden, Text: fmt.Sprintf("The token is not for the scope %s", scope)}
	}
	return t.Name, nil
}

// routeOf is the path of a pattern, for metrics: never what a client chose.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return cmp.Or(pattern, "none")
}

// hostOf is the name in a Host header, without port, brackets and final dot, in lower case.
func hostOf(header string) string {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// recorded is an answer whose status is remembered.
type recorded struct {
	http.ResponseWriter
	status int
}

func (a *recorded) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *recorded) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// code is the status for counting. A client that went away before its answer has none.
func (a *recorded) code() int {
	if a.status == 0 {
		return reply.StatusClientClosed
	}
	return a.status
}
