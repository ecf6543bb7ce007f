//go:build !amd64 || noasm

package kernels

// level is always portable here.
const level = portable

var assembly [1]functions // no code calls one
