package rooms

import "testing"

func TestLocalName(t *testing.T) {
	for host, want := range map[string]bool{
		"192.168.1.4": true, "[::1]": true, "::1": true, "fe80::1%eth0": true, "localhost": true, "nas": true, "NAS.local.": true, "music.home.arpa": true,
		"": false, ".": false, "evil.example": false, "192.168.1.4.evil.example": false, "local.example": false, "evil.example.": false, "notlocal.xlan": false,
	} {
		if got := LocalName(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
