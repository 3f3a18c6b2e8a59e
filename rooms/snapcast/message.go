package snapcast

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// The wire is little-endian: a base message of 26 bytes, then a typed one (Snapcast's doc/binary_protocol.md, protocol
// version 2).
const (
	codecHeader    = 1
	wireChunk      = 2
	serverSettings = 3
	timeMessage    = 4
	hello          = 5
	clientInfo     = 7

	baseSize = 26
	// maxMessage bounds what a client may send: a hello takes some hundred bytes.
	maxMessage = 64 << 10
	// maxField bounds each of the things that a client says of itself; a host's name has at most 253 bytes (RFC 1035).
	maxField = 256
)

// base is what every message begins with.
type base struct {
	kind, id, refersTo uint16
	sent, received     stamp
	size               uint32
}

// stamp is a time as two numbers: seconds and microseconds.
type stamp struct{ sec, usec int32 }

// stampOf rounds down to a microsecond.
func stampOf(t time.Time) stamp {
	return stamp{int32(t.Unix()), int32(t.Nanosecond() / 1000)}
}

func (s stamp) micros() int64 { return int64(s.sec)*1e6 + int64(s.usec) }

func stampOfMicros(v int64) stamp {
	sec := v / 1e6
	if v < 0 && v%1e6 != 0 {
		sec--
	}
	return stamp{int32(sec), int32(v - sec*1e6)}
}

func parseBase(b []byte) base {
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	return base{
		kind: u16(b), id: u16(b[2:]), refersTo: u16(b[4:]),
		sent: stamp{int32(u32(b[6:])), int32(u32(b[10:]))}, received: stamp{int32(u32(b[14:])), int32(u32(b[18:]))},
		size: u32(b[22:]),
	}
}

// append adds a whole message to a buffer.
func (m base) append(to []byte, body []byte) []byte {
	le := binary.LittleEndian
	to = le.AppendUint16(to, m.kind)
	to = le.AppendUint16(to, m.id)
	to = le.AppendUint16(to, m.refersTo)
	for _, s := range []stamp{m.sent, m.received} {
		to = le.AppendUint32(to, uint32(s.sec))
		to = le.AppendUint32(to, uint32(s.usec))
	}
	to = le.AppendUint32(to, uint32(len(body)))
	return append(to, body...)
}

// readMessage reads one message of a client, and when its first bytes were there.
func readMessage(r io.Reader, now func() time.Time) (base, []byte, time.Time, error) {
	var head [baseSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return base{}, nil, time.Time{}, err
	}
	at := now()
	m := parseBase(head[:])
	if m.size > maxMessage {
		return m, nil, at, fmt.Errorf("a message of %d bytes; %d are allowed", m.size, maxMessage)
	}
	body := make([]byte, m.size)
	if _, err := io.ReadFull(r, body); err != nil {
		return m, nil, at, err
	}
	return m, body, at, nil
}

// counted is a length and as many bytes.
func counted(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// uncounted reads what counted wrote.
func uncounted(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, io.ErrUnexpectedEOF
	}
	return b[4 : 4+n], nil
}

// greeting is what a client says of itself.
type greeting struct {
	ID         string
	MAC        string
	HostName   string
	ClientName string
	Version    string
	OS         string
	Arch       string
	Instance   int
	Protocol   int `json:"SnapStreamProtocolVersion"`
}

func parseHello(body []byte) (greeting, error) {
	var g greeting
	text, err := uncounted(body)
	if err != nil {
		return g, err
	}
	if err := json.Unmarshal(text, &g); err != nil {
		return g, fmt.Errorf("its greeting: %w", err)
	}
	// Every app is told them with everything else, whenever anything changes.
	for _, s := range []string{g.MAC, g.HostName, g.ClientName, g.Version, g.OS, g.Arch} {
		if len(s) > maxField {
			return g, fmt.Errorf("its greeting: %d bytes where %d are allowed", len(s), maxField)
		}
	}
	if g.ID == "" {
		g.ID = g.MAC // protocol version 1
	}
	return g, nil
}

func codecBody(codec string, header []byte) []byte {
	return append(counted([]byte(codec)), counted(header)...)
}

func chunkBody(at stamp, data []byte) []byte {
	b := make([]byte, 0, 12+len(data))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.sec))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.usec))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func timeBody(latency stamp) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(latency.sec))
	return binary.LittleEndian.AppendUint32(b, uint32(latency.usec))
}

// settingsMessage is the JSON of a ServerSettings message.
type settingsMessage struct {
	BufferMs int64 `json:"bufferMs"`
	Latency  int64 `json:"latency"`
	Muted    bool  `json:"muted"`
	Volume   int   `json:"volume"`
}

// volumeMessage is the JSON of a ClientInfo message: the client's own volume was changed on its device.
type volumeMessage struct {
	Volume *int  `json:"volume"`
	Muted  *bool `json:"muted"`
}

// putSent fills in what is known only when a message is sent.
func putSent(message []byte, id uint16, at stamp) {
	binary.LittleEndian.PutUint16(message[2:], id)
	binary.LittleEndian.PutUint32(message[6:], uint32(at.sec))
	binary.LittleEndian.PutUint32(message[10:], uint32(at.usec))
}
