// Package logs reads the query logs of DNS servers, of network monitors and of proxies, and tables of names. Each
// format is one file that registers itself with package events.
package logs
