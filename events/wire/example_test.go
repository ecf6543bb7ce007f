package wire_test

import (
	"fmt"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/wire"
)

func ExampleQuestion() {
	msg := []byte("\x00\x07\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x1c\x00\x01")
	var e events.Event
	if _, err := wire.Question(msg, &e, nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println(e.Kind, e.ID, string(e.Name), e.Type, e.RCode)
	// Output: response 7 www.example.com AAAA NXDOMAIN
}
