package subsonic

import (
	"net/http"

	"tutti"
)

// endpoint is a row of the table of what there is under /rest/. The table of coverage in the docs is written from it.
type endpoint struct {
	name         string
	group        string                     // the specification's category
	role         tutti.Role                 // needed; "" is anybody who is signed in
	serve        func(*Server, *call) error // nil: not supported, and note says so to the client
	note         string                     // for the docs, or for the client where serve is nil
	public       bool                       // needs no signing in
	writes       bool                       // changes something, though apps may ask by GET
	postOnly     bool                       // needs a body
	bytes        bool                       // answers with something else than the envelope
	httpErrors   bool                       // errors have HTTP's own status
	ours         bool                       // not in the specification: part of how we serve something that is
	absentStatus int                        // of the answer where serve is nil; 0 is 200
}

// Why some endpoints are not supported, in words for whoever reads the client's error.
const (
	noPodcasts = "this server has no podcasts"
	noChat     = "this server has no chat"
	noVideo    = "this server has no videos"
)

// endpoints is every endpoint of the specification. Those that are not supported answer error 0 with the reason, and
// those of extensions that are not advertised answer HTTP 404 as well, which the specification's OpenAPI description
// has for them.
var endpoints = []endpoint{
	{name: "ping", group: "System", serve: (*Server).ping},
	{name: "getLicense", group: "System", serve: (*Server).getLicense, note: "always valid"},
	{name: "getOpenSubsonicExtensions", group: "System", public: true, serve: (*Server).getOpenSubsonicExtensions, note: "needs no signing in"},
	{name: "tokenInfo", group: "System", serve: (*Server).tokenInfo, note: "error 44 unless signed in with an API key"},

	{name: "getMusicFolders", group: "Browsing", serve: (*Server).getMusicFolders},
	{name: "getIndexes", group: "Browsing", serve: (*Server).getIndexes, note: "the folders at the top of each library; `lastModified` is the last scan"},
	{name: "getMusicDirectory", group: "Browsing", serve: (*Server).getMusicDirectory, note: "takes ids of folders, and of artists and albums too"},
	{name: "getGenres", group: "Browsing", serve: (*Server).getGenres},
	{name: "getArtists", group: "Browsing", serve: (*Server).getArtists, note: "album artists; see `roles`"},
	{name: "getArtist", group: "Browsing", serve: (*Server).getArtist, note: "own albums first, then those the artist appears on"},
	{name: "getAlbum", group: "Browsing", serve: (*Server).getAlbum},
	{name: "getSong", group: "Browsing", serve: (*Server).getSong},
	{name: "getVideos", group: "Browsing", note: noVideo},
	{name: "getVideoInfo", group: "Browsing", note: noVideo},
	{name: "getArtistInfo", group: "Browsing", serve: (*Server).getArtistInfo, note: "from the library itself: MusicBrainz id and similar artists; nothing is fetched from the internet"},
	{name: "getArtistInfo2", group: "Browsing", serve: (*Server).getArtistInfo2, note: "as getArtistInfo"},
	{name: "getAlbumInfo", group: "Browsing", serve: (*Server).getAlbumInfo, note: "MusicBrainz id; takes an album, a song or a folder"},
	{name: "getAlbumInfo2", group: "Browsing", serve: (*Server).getAlbumInfo, note: "as getAlbumInfo"},
	{name: "getSimilarSongs", group: "Browsing", serve: (*Server).getSimilarSongs, note: "from the library itself: by sound, artist, genre and age"},
	{name: "getSimilarSongs2", group: "Browsing", serve: (*Server).getSimilarSongs2, note: "from the library itself: by sound, artist, genre and age"},
	{name: "getTopSongs", group: "Browsing", serve: (*Server).getTopSongs, note: "most played by the listener; takes `id` too (topSongsByArtistId)"},

	{name: "getAlbumList", group: "Album/song lists", serve: (*Server).getAlbumList, note: "every type"},
	{name: "getAlbumList2", group: "Album/song lists", serve: (*Server).getAlbumList2, note: "every type"},
	{name: "getRandomSongs", group: "Album/song lists", serve: (*Server).getRandomSongs},
	{name: "getSongsByGenre", group: "Album/song lists", serve: (*Server).getSongsByGenre},
	{name: "getNowPlaying", group: "Album/song lists", serve: (*Server).getNowPlaying, note: "with state and position (playbackReport)"},
	{name: "getStarred", group: "Album/song lists", serve: (*Server).getStarred},
	{name: "getStarred2", group: "Album/song lists", serve: (*Server).getStarred2},

	{name: "search", group: "Searching", serve: (*Server).search, note: "deprecated; looks through the 2,000 best matches"},
	{name: "search2", group: "Searching", serve: (*Server).search2, note: "an empty query lists everything"},
	{name: "search3", group: "Searching", serve: (*Server).search3, note: "an empty query lists everything"},

	{name: "getPlaylists", group: "Playlists", serve: (*Server).getPlaylists},
	{name: "getPlaylist", group: "Playlists", serve: (*Server).getPlaylist},
	{name: "createPlaylist", group: "Playlists", role: tutti.RolePlaylist, writes: true, serve: (*Server).createPlaylist},
	{name: "updatePlaylist", group: "Playlists", role: tutti.RolePlaylist, writes: true, serve: (*Server).updatePlaylist, note: "positions to remove count before anything is added"},
	{name: "deletePlaylist", group: "Playlists", role: tutti.RolePlaylist, writes: true, serve: (*Server).deletePlaylist},

	{name: "stream", group: "Media retrieval", role: tutti.RoleStream, bytes: true, serve: (*Server).stream, note: "with `timeOffset` (transcodeOffset); `size` and `converted` are about video and have no effect"},
	{name: "download", group: "Media retrieval", role: tutti.RoleDownload, bytes: true, serve: (*Server).download},
	{name: "hls", group: "Media retrieval", role: tutti.RoleStream, bytes: true, serve: (*Server).hls, ours: true},
	{name: "hls.m3u8", group: "Media retrieval", role: tutti.RoleStream, bytes: true, serve: (*Server).hls, note: "several `bitRate` make an adaptive playlist; `audioTrack` is about video and has no effect"},
	{name: "hls.ts", group: "Media retrieval", role: tutti.RoleStream, bytes: true, serve: (*Server).hlsSegment, ours: true},
	{name: "getCaptions", group: "Media retrieval", note: noVideo},
	{name: "getCoverArt", group: "Media retrieval", bytes: true, serve: (*Server).getCoverArt, note: "takes ids of songs, albums, artists, folders and playlists"},
	{name: "getLyrics", group: "Media retrieval", serve: (*Server).getLyrics},
	{name: "getLyricsBySongId", group: "Media retrieval", serve: (*Server).getLyricsBySongID, note: "songLyrics 1 and 2: with times of words where the lyrics have them"},
	{name: "getAvatar", group: "Media retrieval", bytes: true, serve: (*Server).getAvatar, note: "a pattern drawn from the account's id"},

	{name: "star", group: "Media annotation", role: tutti.RoleComment, writes: true, serve: (*Server).star},
	{name: "unstar", group: "Media annotation", role: tutti.RoleComment, writes: true, serve: (*Server).unstar},
	{name: "setRating", group: "Media annotation", role: tutti.RoleComment, writes: true, serve: (*Server).setRating},
	{name: "scrobble", group: "Media annotation", writes: true, serve: (*Server).scrobble, note: "several songs at once; play counts stay on this server"},
	{name: "reportPlayback", group: "Media annotation", writes: true, serve: (*Server).reportPlayback, note: "a play counts once half of the song, or four minutes, was heard"},

	{name: "getShares", group: "Sharing", serve: (*Server).getShares},
	{name: "createShare", group: "Sharing", role: tutti.RoleShare, writes: true, serve: (*Server).createShare, note: "songs, albums and playlists"},
	{name: "updateShare", group: "Sharing", role: tutti.RoleShare, writes: true, serve: (*Server).updateShare},
	{name: "deleteShare", group: "Sharing", role: tutti.RoleShare, writes: true, serve: (*Server).deleteShare},

	{name: "getPodcasts", group: "Podcast", note: noPodcasts},
	{name: "getNewestPodcasts", group: "Podcast", note: noPodcasts},
	{name: "getPodcastEpisode", group: "Podcast", note: noPodcasts, absentStatus: http.StatusNotFound},
	{name: "refreshPodcasts", group: "Podcast", note: noPodcasts},
	{name: "createPodcastChannel", group: "Podcast", note: noPodcasts},
	{name: "deletePodcastChannel", group: "Podcast", note: noPodcasts},
	{name: "deletePodcastEpisode", group: "Podcast", note: noPodcasts},
	{name: "downloadPodcastEpisode", group: "Podcast", note: noPodcasts},

	{name: "jukeboxControl", group: "Jukebox", role: tutti.RoleStream, writes: true, serve: (*Server).jukeboxControl, note: "plays on the players of a room: that of the parameter `room`, else the one that bears the user's name, else the first with players"},
	{name: "getRooms", group: "Jukebox", role: tutti.RoleStream, serve: (*Server).getRooms, ours: true},
	{name: "updateRoom", group: "Jukebox", role: tutti.RoleStream, writes: true, serve: (*Server).updateRoom, ours: true},
	{name: "updateRoomPlayer", group: "Jukebox", role: tutti.RoleStream, writes: true, serve: (*Server).updateRoomPlayer, ours: true},

	{name: "getInternetRadioStations", group: "Internet radio", serve: (*Server).getInternetRadioStations},
	{name: "createInternetRadioStation", group: "Internet radio", role: tutti.RoleAdmin, writes: true, serve: (*Server).createInternetRadioStation},
	{name: "updateInternetRadioStation", group: "Internet radio", role: tutti.RoleAdmin, writes: true, serve: (*Server).updateInternetRadioStation},
	{name: "deleteInternetRadioStation", group: "Internet radio", role: tutti.RoleAdmin, writes: true, serve: (*Server).deleteInternetRadioStation},

	{name: "getChatMessages", group: "Chat", note: noChat},
	{name: "addChatMessage", group: "Chat", note: noChat},

	{name: "getUser", group: "User management", serve: (*Server).getUser, note: "oneself; anybody for an administrator"},
	{name: "getUsers", group: "User management", role: tutti.RoleAdmin, serve: (*Server).getUsers},
	{name: "createUser", group: "User management", role: tutti.RoleAdmin, writes: true, serve: (*Server).createUser, note: "`commentRole` (stars, ratings, bookmarks) is given unless refused; roles for upload, podcasts and video have no effect, and the jukebox is for whoever may stream"},
	{name: "updateUser", group: "User management", role: tutti.RoleAdmin, writes: true, serve: (*Server).updateUser, note: "as createUser"},
	{name: "deleteUser", group: "User management", role: tutti.RoleAdmin, writes: true, serve: (*Server).deleteUser, note: "not oneself"},
	{name: "changePassword", group: "User management", writes: true, serve: (*Server).changePassword, note: "one's own; anybody's for an administrator"},

	{name: "getBookmarks", group: "Bookmarks", serve: (*Server).getBookmarks},
	{name: "createBookmark", group: "Bookmarks", role: tutti.RoleComment, writes: true, serve: (*Server).createBookmark},
	{name: "deleteBookmark", group: "Bookmarks", role: tutti.RoleComment, writes: true, serve: (*Server).deleteBookmark},
	{name: "getPlayQueue", group: "Bookmarks", serve: (*Server).getPlayQueue},
	{name: "savePlayQueue", group: "Bookmarks", writes: true, serve: (*Server).savePlayQueue},
	{name: "getPlayQueueByIndex", group: "Bookmarks", serve: (*Server).getPlayQueueByIndex},
	{name: "savePlayQueueByIndex", group: "Bookmarks", writes: true, serve: (*Server).savePlayQueueByIndex},

	{name: "getScanStatus", group: "Media library scanning", serve: (*Server).getScanStatus},
	{name: "startScan", group: "Media library scanning", role: tutti.RoleAdmin, writes: true, serve: (*Server).startScan, note: "with `fullScan=true`, reads every file again"},

	{name: "getTranscodeDecision", group: "Transcoding", role: tutti.RoleStream, postOnly: true, serve: (*Server).getTranscodeDecision, note: "POST with a JSON body"},
	{name: "getTranscodeStream", group: "Transcoding", role: tutti.RoleStream, bytes: true, httpErrors: true, serve: (*Server).getTranscodeStream, note: "errors have HTTP's own status codes"},

	{name: "getSonicSimilarTracks", group: "Sonic similarity", serve: (*Server).getSonicSimilarTracks, note: "by what the server heard in the songs; empty until it has listened to the song"},
	{name: "findSonicPath", group: "Sonic similarity", serve: (*Server).findSonicPath, note: "up to 100 songs"},
}
