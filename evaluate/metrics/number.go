package metrics

import (
	"encoding/json"
	"math"
)

// Number is a float64 whose JSON is null where it is no finite number.
type Number float64

// none stands for a number that could not be computed, noInterval for its interval.
var (
	none       = Number(math.NaN())
	noInterval = [2]Number{none, none}
)

// Missing reports whether n is no finite number: what it stands for could not be computed.
func (n Number) Missing() bool { return math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) }

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = none
		return nil
	}
	return json.Unmarshal(data, (*float64)(n))
}

// MarshalJSON writes null for NaN and infinities, which JSON has no words for.
func (n Number) MarshalJSON() ([]byte, error) {
	if n.Missing() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}
