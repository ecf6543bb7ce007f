package logs

import (
	"bytes"
	"strconv"
	"time"

	"github.com/degas-dns/degas/internal/lines"
)

// parseTime reads a time in any form that a log may have. A time without a zone is taken for UTC.
func parseTime(text []byte) (time.Time, bool) {
	t := times{now: time.Now()}
	return t.parse(text)
}

// times reads the times of one file. Create one with the current time, which settles what a text leaves open: the year
// of a syslog's line, and whether 3/4/2026 is in March or in April. clock, if not nil, is asked again when a time seems
// to lie in the future, for files that are read for days.
type times struct {
	now   time.Time
	clock func() time.Time
	order dateOrder
}

// ahead is how far the clock of a log may run ahead.
const ahead = 24 * time.Hour

// dateOrder is the order of day and month in dates of numbers, as far as the lines before have told.
type dateOrder uint8

const (
	unknownOrder dateOrder = iota
	dayFirst
	monthFirst
)

// parse reads a text that is a time and nothing else.
func (t *times) parse(text []byte) (at time.Time, ok bool) {
	text = bytes.TrimSpace(text)
	if n := len(text) - 1; n > 0 && text[0] == '[' && text[n] == ']' {
		text = text[1:n]
	}
	at, rest, ok := t.cut(text)
	if len(rest) > 0 && rest[0]|0x20 == 'e' { // 1.7644032e9
		if v, err := strconv.ParseFloat(lines.View(text), 64); err == nil && v >= 0 && v < 1e19 {
			return t.parse(strconv.AppendFloat(nil, v, 'f', 6, 64))
		}
	}
	return at, ok && len(rest) == 0
}

// cut reads the time at the start of text and returns what follows it. These forms are known, with or without a
// fraction of the second and a zone, a "T" or blanks between date and time:
//
//	1764403200.123, also in ms, µs and ns    20261129080000       2026-11-29 08:00:00    2026/11/29 08:00:00
//	29-Nov-2026 08:00:00                     29/Nov/2026:08:00:00 29 Nov 2026 08:00:00   29.11.2026 08:00:00
//	Nov 29 08:00:00                          Nov 29 2026 08:00:00 Sun Nov 29 08:00:00 2026
//	11/29/2026 8:00:00 AM
func (t *times) cut(text []byte) (at time.Time, rest []byte, ok bool) {
	if len(text) == 0 {
		return at, text, false
	}
	if !isDigit(text[0]) {
		return t.cutNamed(text)
	}
	v, n := number(text, 4)
	next := byte(0)
	if n < len(text) {
		next = text[n]
	}
	switch {
	case n == 4 && (next == '-' || next == '/'):
		return t.cutYearFirst(text, v)
	case n <= 2 && (next == '-' || next == '/' || next == '.' || next == ' '):
		if at, rest, ok = t.cutDayOrMonthFirst(text, v, n); ok {
			return at, rest, ok
		}
	}
	return cutEpoch(text)
}

// cutEpoch reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their length,
// or a date and time of digits alone.
func cutEpoch(text []byte) (at time.Time, rest []byte, ok bool) {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	if n == 14 && text[0] == '2' || n == 8 && (text[0] == '2' || text[0] == '1') {
		if at, rest, ok = cutDigits(text, n); ok {
			return at, rest, ok
		}
	}
	if n > 19 {
		return at, text, false
	}
	v, err := strconv.ParseInt(lines.View(text[:n]), 10, 64)
	if err != nil {
		return at, text, false
	}
	fraction, rest := cutFraction(text[n:])
	if len(rest) > 0 && rest[0] > ' ' && bytes.IndexByte([]byte(",;|]\"'eE"), rest[0]) < 0 {
		return at, text, false // an address, or a word
	}
	switch {
	case n <= 11:
		at = time.Unix(v, fraction)
	case n <= 14:
		at = time.Unix(v/1e3, v%1e3*1e6+fraction/1e3)
	case n <= 17:
		at = time.Unix(v/1e6, v%1e6*1e3+fraction/1e6)
	default:
		at = time.Unix(v/1e9, v%1e9)
	}
	return at.UTC(), rest, true
}

// cutDigits reads 20261129, 20261129T080000Z or 20261129080000, of which the first n are digits.
func cutDigits(text []byte, n int) (at time.Time, rest []byte, ok bool) {
	year, _ := number(text, 4)
	month, _ := number(text[4:], 2)
	day, _ := number(text[6:], 2)
	if year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 || day > 31 {
		return at, text, false
	}
	var hour, minute, second int
	clock, nanos := text[8:], int64(0)
	if n == 8 && len(clock) >= 7 && clock[0] == 'T' {
		clock = clock[1:]
		n += 7
	}
	if n > 8 {
		digits := [3]int{}
		hour, digits[0] = number(clock, 2)
		minute, digits[1] = number(clock[2:], 2)
		second, digits[2] = number(clock[4:], 2)
		if digits != [3]int{2, 2, 2} {
			return at, text, false
		}
		nanos, text = cutFraction(text[n:])
	} else {
		return cutClock(text[n:], year, month, day)
	}
	offset, rest := cutZone(text)
	if hour > 23 || minute > 59 {
		return at, text, false
	}
	at = time.Date(year, time.Month(month), day, hour, minute, second, int(nanos), time.UTC)
	return at.Add(-offset), rest, true
}

// cutYearFirst reads 2026-11-29 08:00:00.
func (t *times) cutYearFirst(text []byte, year int) (at time.Time, rest []byte, ok bool) {
	month, n := number(text[5:], 2)
	rest = text[5+n:]
	if n == 0 || len(rest) < 2 || rest[0] != text[4] {
		return at, text, false
	}
	day, n := number(rest[1:], 2)
	if n == 0 {
		return at, text, false
	}
	return cutClock(rest[1+n:], year, month, day)
}

// cutDayOrMonthFirst reads 29-Nov-2026 08:00:00, 29/11/2026 08:00:00 and 11/29/2026 8:00:00 AM. first is the number at
// the start, of n digits.
func (t *times) cutDayOrMonthFirst(text []byte, first, n int) (at time.Time, rest []byte, ok bool) {
	separator := text[n]
	rest = text[n+1:]
	second, n := number(rest, 2)
	named := n == 0
	if named {
		if second = monthOf(rest); second == 0 {
			return at, text, false
		}
		n = 3
	}
	rest = rest[n:]
	if len(rest) < 3 || rest[0] != separator {
		return at, text, false
	}
	year, n := number(rest[1:], 4)
	if rest = rest[1+n:]; n == 2 {
		year += 2000
	} else if n != 4 {
		return at, text, false
	}
	if named {
		return cutClock(rest, year, second, first)
	}
	if separator == ' ' {
		return at, text, false
	}
	day, month := first, second
	if t.learn(first, second, separator) == monthFirst {
		day, month = second, first
	}
	if at, rest, ok = cutClock(rest, year, month, day); !ok || t.order != unknownOrder || first == second {
		return at, rest, ok
	}
	// Both orders fit, and no line said which one. A log has no future. A clock of twelve hours is American.
	other := at.AddDate(0, day-month, month-day)
	twelve := len(rest) < len(text) && bytes.IndexByte(text[:len(text)-len(rest)], 'M') >= 0
	if late := t.now.Add(ahead); separator == '/' && twelve && !other.After(late) ||
		at.After(late) && !other.After(late) {
		at = other
	}
	return at, rest, ok
}

// learn remembers the order of a date that fits only one.
func (t *times) learn(first, second int, separator byte) dateOrder {
	switch {
	case first > 12:
		t.order = dayFirst
	case second > 12:
		t.order = monthFirst
	case separator == '.':
		return dayFirst
	}
	return t.order
}

// cutNamed reads times that start with a weekday or a month.
func (t *times) cutNamed(text []byte) (at time.Time, rest []byte, ok bool) {
	rest = text
	weekday := isWeekday(text)
	if weekday {
		rest = bytes.TrimLeft(text[3:], ", ")
		if len(rest) > 0 && isDigit(rest[0]) {
			return t.cut(rest)
		}
	}
	month := monthOf(rest)
	if month == 0 || len(rest) < 6 || rest[3] != ' ' {
		return at, text, false
	}
	rest = bytes.TrimLeft(rest[4:], " ")
	day, n := number(rest, 2)
	if n == 0 || n == len(rest) || rest[n] != ' ' && rest[n] != ',' {
		return at, text, false
	}
	rest = bytes.TrimLeft(rest[n:], " ,")
	year, n := number(rest, 4)
	if n == 4 && (n == len(rest) || rest[n] == ' ') {
		return cutClock(rest[n:], year, month, day)
	}
	if at, rest, ok = cutClock(rest, 2000, month, day); !ok {
		return at, text, false
	}
	if weekday && len(rest) >= 5 && rest[0] == ' ' {
		if year, n = number(rest[1:], 4); n == 4 {
			return at.AddDate(year-2000, 0, 0), rest[5:], true
		}
	}
	return t.inYear(at), rest, true
}

// inYear moves a time that came without a year into the last year in which it is not in the future.
func (t *times) inYear(at time.Time) time.Time {
	late := t.now.Add(ahead)
	if t.clock != nil && at.AddDate(late.Year()-2000, 0, 0).After(late) {
		t.now = t.clock()
		late = t.now.Add(ahead)
	}
	for year := late.Year(); year > late.Year()-9; year-- { // a 29 February may need eight
		if moved := at.AddDate(year-2000, 0, 0); moved.Day() == at.Day() && !moved.After(late) {
			return moved
		}
	}
	return at
}

// cutClock reads what follows a date: 08:00:00.123 Z, and 8:00 PM. The clock may be missing.
func cutClock(text []byte, year, month, day int) (at time.Time, rest []byte, ok bool) {
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return at, text, false
	}
	at = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	i := 0
	for i < len(text) && (text[i] == ' ' || i == 0 && (text[i] == 'T' || text[i] == ':')) {
		i++
	}
	hour, n := number(text[i:], 2)
	rest = text[i+n:]
	if n == 0 || len(rest) < 3 || rest[0] != ':' {
		return at, text, len(text) == 0 || text[0] == ' ' || text[0] == ','
	}
	minute, n := number(rest[1:], 2)
	rest = rest[1+n:]
	second, nanos := 0, int64(0)
	if n == 2 && len(rest) >= 3 && rest[0] == ':' {
		second, n = number(rest[1:], 2)
		nanos, rest = cutFraction(rest[1+n:])
	}
	if n != 2 || hour > 23 || minute > 59 || second > 60 {
		return at, text, false
	}
	hour, rest = cutNoon(rest, hour)
	offset, rest := cutZone(rest)
	seconds := time.Duration(hour*3600+minute*60+second) * time.Second
	return at.Add(seconds + time.Duration(nanos) - offset), rest, true
}

// cutFraction reads ".123" or ",123" in nanoseconds. Digits beyond those are dropped.
func cutFraction(text []byte) (nanos int64, rest []byte) {
	if len(text) < 2 || text[0] != '.' && text[0] != ',' || !isDigit(text[1]) {
		return 0, text
	}
	text = text[1:]
	v, n := number(text, 9)
	for i := n; i < 9; i++ {
		v *= 10
	}
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return int64(v), text[n:]
}

// cutNoon reads " AM", "PM" or "p.m." after an hour of a clock of twelve.
func cutNoon(text []byte, hour int) (_ int, rest []byte) {
	rest = bytes.TrimLeft(text, " ")
	if len(rest) < 2 || hour > 12 {
		return hour, text
	}
	half := rest[0] | 0x20
	switch {
	case half != 'a' && half != 'p':
		return hour, text
	case len(rest) >= 4 && rest[1] == '.' && rest[2]|0x20 == 'm' && rest[3] == '.':
		rest = rest[4:]
	case rest[1]|0x20 == 'm' && (len(rest) == 2 || rest[2] <= ' ' || rest[2] == ','):
		rest = rest[2:]
	default:
		return hour, text
	}
	hour %= 12
	if half == 'p' {
		hour += 12
	}
	return hour, rest
}

// cutZone reads Z, UTC, GMT, +01:00, +0100 or +01, also after a blank.
func cutZone(text []byte) (offset time.Duration, rest []byte) {
	rest = text
	if len(rest) > 1 && rest[0] == ' ' {
		rest = rest[1:]
	}
	switch {
	case len(rest) == 0:
		return 0, rest
	case rest[0] == 'Z' && (len(rest) == 1 || rest[1] <= ' '):
		return 0, rest[1:]
	case bytes.HasPrefix(rest, []byte("UTC")), bytes.HasPrefix(rest, []byte("GMT")):
		return 0, rest[3:]
	case rest[0] != '+' && rest[0] != '-':
		return 0, text
	}
	hours, n := number(rest[1:], 2)
	if n != 2 {
		return 0, text
	}
	after := rest[3:]
	if len(after) > 0 && after[0] == ':' {
		after = after[1:]
	}
	minutes, m := number(after, 2)
	if m == 0 {
		after = rest[3:]
	}
	if offset = time.Duration(hours*60+minutes) * time.Minute; rest[0] == '-' {
		offset = -offset
	}
	return offset, after[m:]
}

const (
	months   = "janfebmaraprmayjunjulaugsepoctnovdec"
	weekdays = "montuewedthufrisatsun"
)

// monthOf reads the three letters of a month at the start of text: 1 for January, 0 for others.
func monthOf(text []byte) int { return threeLetters(months, text) }

func isWeekday(text []byte) bool { return threeLetters(weekdays, text) > 0 }

func threeLetters(list string, text []byte) int {
	if len(text) < 3 {
		return 0
	}
	for i := 0; i < len(list); i += 3 {
		if list[i] == text[0]|0x20 && list[i+1] == text[1]|0x20 && list[i+2] == text[2]|0x20 {
			return i/3 + 1
		}
	}
	return 0
}
