package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Blocked says that the policy blocks a name. Nothing was sent. Errors of look-ups unwrap to it.
type Blocked struct {
	// Name is the name that would have been sent, in lower case and without a final dot: with the suffix of a search list,
	// if the search begins with one. Bytes that are not printable are escaped.
	Name string
	// Score is how likely the name is malicious, [0, 1]. It is 0 if the block list has the name.
	Score float64
	// Class is the model's label, such as "dga", or "blocked" if the block list has the name.
	Class string
	// Model is the name of the model that scored the name, "" if the block list has it.
	Model string
	// Rule is the step of the policy that decided: "score" or "block list".
	Rule string
	// Entry is the entry of the block list, "" if there is none.
	Entry string
}

func (b *Blocked) Error() string { return b.Name + " is " + b.why() }

func (b *Blocked) why() string {
	if b.Entry != "" {
		return fmt.Sprintf("blocked by %q of the %s", b.Entry, b.Rule)
	}
	return fmt.Sprintf("blocked as %s: score %.4f of model %s", b.Class, b.Score, b.Model)
}

// UpstreamBlocked says that a server blocks a name: it answers with the extended error 15, 16 or 17 (RFC 8914: blocked,
// censored, filtered), or it denies the name as one that does not offer recursion and is not the name's authority, as
// Quad9 does. Errors of look-ups unwrap to it.
type UpstreamBlocked struct {
	// Name is the name that was asked for, in lower case and without a final dot.
	Name string
	// Server is the server's address.
	Server string
	// Reason is the text of the extended error, as the server sent it; "" if there is none.
	Reason string
	// Code is the extended error's code, 0 if there is none.
	Code uint16
}

func (u *UpstreamBlocked) Error() string { return u.Name + " is " + u.why() }

func (u *UpstreamBlocked) why() string {
	if u.Reason == "" {
		return "blocked by the server " + u.Server
	}
	return fmt.Sprintf("blocked by the server %s: %q", u.Server, u.Reason)
}

// blocks are Blocked and UpstreamBlocked.
type blocks interface {
	error
	why() string
}

// notFound is the error for a name that does not exist, has no such records, or is blocked.
func notFound(name, server string, cause blocks) *net.DNSError {
	e := &net.DNSError{Err: "no such host", Name: strings.TrimSuffix(name, "."), Server: server, IsNotFound: true}
	if cause != nil {
		e.Err += ": " + cause.why()
		e.UnwrapErr = cause
	}
	return e
}

// failed is the error for a name of which nobody knows whether it exists. Such an error may be gone in a moment.
func failed(name, server string, cause error) *net.DNSError {
	var timeout net.Error
	return &net.DNSError{UnwrapErr: cause, Err: cause.Error(), Name: strings.TrimSuffix(name, "."), Server: server,
		IsTimeout: errors.As(cause, &timeout) && timeout.Timeout(), IsTemporary: !errors.Is(cause, context.Canceled)}
}

// blocked reports whether somebody blocks the name that e is about.
func blocked(e *net.DNSError) bool {
	_, ok := e.UnwrapErr.(blocks)
	return ok
}
