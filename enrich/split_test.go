package enrich

import (
	"slices"
	"strings"
	"testing"

	"tutti"
)

// libraryOf holds artists, each with an album of so many tracks.
func libraryOf(artists ...string) *Library {
	l := NewLibrary()
	for i, a := range artists {
		for n := range 4 {
			l.Add(&tutti.Track{
				ID: tutti.NewID(tutti.PrefixTrack, uint64(8*i+n+1)), AlbumID: tutti.NewID(tutti.PrefixAlbum, uint64(i+1)), Title: "x", Album: "y",
				Artists: []tutti.ArtistRef{{Name: a}}, AlbumArtists: []tutti.ArtistRef{{Name: a}},
			})
		}
	}
	return l
}

func TestSplitOrKeep(t *testing.T) {
	l := libraryOf("Jay-Z", "Alicia Keys", "Nick Cave", "Kylie Minogue", "Elvis Costello", "Burt Bacharach", "Queen", "David Bowie", "Earth", "Fire", "Rock", "Paul Simon", "Ladysmith Black Mambazo",
		"Simon & Garfunkel", "Crosby, Stills & Nash", "Neil Young", "The Bad Seeds", "Bob Marley", "Tyler, The Creator")
	for _, c := range []struct{ credit, parts string }{
		{"Jay-Z feat. Alicia Keys", "Jay-Z|Alicia Keys"},
		{"Jay-Z ft. Nobody Known", "Jay-Z|Nobody Known"},
		{"Jay-Z (feat. Alicia Keys)", "Jay-Z|Alicia Keys"},
		{"Queen & David Bowie", "Queen|David Bowie"},
		{"Nick Cave and Kylie Minogue", "Nick Cave|Kylie Minogue"},
		{"Elvis Costello with Burt Bacharach", "Elvis Costello|Burt Bacharach"},
		{"Queen; David Bowie", "Queen|David Bowie"},
		{"Queen / David Bowie", "Queen|David Bowie"},
		{"Queen vs. David Bowie", "Queen|David Bowie"},
		{"Queen, David Bowie", "Queen|David Bowie"},
		{"Simon & Garfunkel feat. Ladysmith Black Mambazo", "Simon & Garfunkel|Ladysmith Black Mambazo"},
		{"Crosby, Stills & Nash & Neil Young", "Crosby, Stills & Nash|Neil Young"},

		{"Simon and Garfunkel", ""},
		{"Simon & Garfunkel", ""},
		{"Rock & Roll", ""},
		{"Earth, Wind & Fire", ""},
		{"AC/DC", ""},
		{"Nick Cave & The Bad Seeds", ""},
		{"Bob Marley & The Wailers", ""},
		{"Tyler, The Creator", ""},
		{"Hall & Oates", ""},
		{"Florence + The Machine", ""},
		{"Sibelius, Jean", ""},
		{"Mumford & Sons", ""},
		{"Huey Lewis and the News", ""},
		{"Emerson, Lake & Palmer", ""},
		{"Belle and Sebastian", ""},
		{"Kool & The Gang", ""},
		{"Mike + The Mechanics", ""},
		{"Blood, Sweat & Tears", ""},
		{"Peter, Paul and Mary", ""},
		{"Now, Now", ""},
		{"Me First and the Gimme Gimmes", ""},
	} {
		parts, p := l.SplitCredit(c.credit, nil)
		if c.parts == "" {
			if p >= Least {
				t.Errorf("%q would be cut into %q (%.2f)", c.credit, parts, p)
			}
			continue
		}
		if !slices.Equal(parts, strings.Split(c.parts, "|")) || p < Least {
			t.Errorf("%q would be cut into %q (%.2f), not %q", c.credit, parts, p, c.parts)
		}
	}
}

func FuzzSplitCredit(f *testing.F) {
	f.Add("A feat. B & C (ft. D), E")
	f.Add("; / & İ feat. x")
	l := libraryOf("A", "B")
	f.Fuzz(func(t *testing.T, credit string) {
		parts, p := l.SplitCredit(credit, nil)
		if p < 0 || p > 1 || len(parts) == 1 || len(parts) > maxCuts+1 {
			t.Fatalf("%q: %q, %v", credit, parts, p)
		}
		for _, part := range parts {
			if part == "" || !strings.Contains(credit, part) {
				t.Fatalf("%q: %q", credit, part)
			}
		}
	})
}
