package events

import (
	"strconv"
	"strings"
)

// Type is the type of a question: an RR type or QTYPE of IANA's "DNS parameters".
type Type uint16

// NoType is the Type of an event whose source does not say.
const NoType Type = 0

var typeNames = map[Type]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
	13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP",
	23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC",
	33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL",
	43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3",
	51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS",
	60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 100: "UINFO",
	101: "UID", 102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64",
	249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA",
	258: "AVC", 259: "DOA", 260: "AMTRELAY", 32768: "TA", 32769: "DLV",
}

var typesByName = func() map[string]Type {
	out := map[string]Type{"*": 255, "TYPE0": 0}
	for t, name := range typeNames {
		out[name] = t
	}
	return out
}()

// String is the type's mnemonic, TYPE123 as RFC 3597 writes one without, or "" for NoType.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	if t == NoType {
		return ""
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// ParseType reads a mnemonic in any case, TYPE123, or a number. ok is false for anything else.
func ParseType(s string) (t Type, ok bool) {
	if t, ok = typesByName[s]; ok {
		return t, true
	}
	up := strings.ToUpper(s)
	if t, ok = typesByName[up]; ok {
		return t, true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(up, "TYPE"), 10, 16)
	return Type(n), err == nil
}

// RCode is a response code of IANA's "DNS parameters", or NoRCode.
type RCode int16

// Response codes that rules speak of.
const (
	NoRCode  RCode = -1 // not answered, or the source does not say
	NoError  RCode = 0
	FormErr  RCode = 1
	ServFail RCode = 2
	NXDomain RCode = 3
	Refused  RCode = 5
)

var rcodeNames = map[RCode]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
	8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE",
	20: "BADNAME", 21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}

var rcodesByName = func() map[string]RCode {
	out := map[string]RCode{"NAMEERR": 3, "NAME_ERROR": 3, "NXDOM": 3, "NOTIMPL": 4, "SERVERROR": 2, "BADSIG": 16}
	for c, name := range rcodeNames {
		out[name] = c
	}
	return out
}()

// String is the code's mnemonic, its number if it has none, or "" for NoRCode.
func (c RCode) String() string {
	if name, ok := rcodeNames[c]; ok {
		return name
	}
	if c < 0 {
		return ""
	}
	return strconv.Itoa(int(c))
}

// ParseRCode reads a mnemonic in any case or a number. Anything else is NoRCode.
func ParseRCode(s string) RCode {
	if c, ok := rcodesByName[strings.ToUpper(s)]; ok {
		return c
	}
	if n, err := strconv.ParseUint(s, 10, 12); err == nil {
		return RCode(n)
	}
	return NoRCode
}
