package capture

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// rareLink is gopacket's decoder of a link type, nil if it has none. They are 802.11 with and without radio headers,
// FDDI and PFLog.
func rareLink(link uint32) gopacket.Decoder {
	if link >= uint32(len(layers.LinkTypeMetadata)) || layers.LinkTypeMetadata[link].DecodeWith == nil {
		return nil
	}
	return layers.LinkType(link)
}

// rare lets gopacket peel off a link layer, and goes on with IP. gopacket turns panics into a missing layer.
func (w *walk) rare(b []byte, decoder gopacket.Decoder) error {
	p := gopacket.NewPacket(b, decoder, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	ip := p.NetworkLayer()
	if ip == nil {
		return noDNS
	}
	// Both are parts of the same bytes, which may be a copy of b.
	header, payload := ip.LayerContents(), ip.LayerPayload()
	n := len(header) + len(payload)
	if n > cap(header) || len(payload) > 0 && &header[:n][len(header)] != &payload[0] {
		return noDNS
	}
	return w.ip(header[:n])
}
