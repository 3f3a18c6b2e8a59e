package tutti

import (
	"context"
	"time"
)

// ---- Work that may wait ----
//
// Some work has nobody waiting for it: outlines of new tracks, suggestions, a backup. Whoever has such work hands it over
// with an estimate of what it takes and a time by which it has to be done, and it is done when electricity is cleanest
// before that, or at once where nobody knows when that is. Package carbon decides.

// JobKind says what sort of work a job is. The page has a name for each in its words.
type JobKind string

// The kinds of jobs.
const (
	JobAnalyse   JobKind = "analyse"   // what is to be learned from the sound: loudness, tempo, likeness
	JobOutline   JobKind = "outline"   // the outlines that seek bars draw
	JobVerify    JobKind = "verify"    // the hashes of originals
	JobTranscode JobKind = "transcode" // transcodes that will be asked for
	JobEnrich    JobKind = "enrich"    // suggestions for tags
	JobTrain     JobKind = "train"     // a model from the library
	JobBackup    JobKind = "backup"
)

// JobSlack is the deadline of a job that names none, from when it was handed over. A day holds every hour of the grid once.
const JobSlack = 24 * time.Hour

// Job is a piece of work that may wait. It runs in one go: what takes more than some hours, or has to stop for listeners, is
// handed over in pieces, the next when one is done, or stops and goes on within Run.
type Job struct {
	// Name tells the job from others, 1 to 200 bytes, the same after a restart: "backup", "analyse".
	Name string
	Kind JobKind
	// Energy is what running it is estimated to take more than being idle, in joules. 0 is unknown: it waits all the same, and
	// no grams are reckoned.
	Energy float64
	// Duration is how long it is estimated to run; rather too long than too short, as it begins no later than this before its
	// deadline. 0 is a minute.
	Duration time.Duration
	// Deadline is by when it has to be done; zero is JobSlack from now. It is kept over restarts: where a job of this name was
	// promised for an earlier time, that time holds. What is past runs at once.
	Deadline time.Time
	// Shared is a job that any process of the fleet can do and only one should. Each hands it over; whoever begins first does
	// it, under a lease, for all.
	Shared bool
	// Run does the work. Its context ends when the process stops, when the job is cancelled, or when another process has taken
	// it over; the job then counts as interrupted, its promise stands, and its owner hands it over again at the next start. An
	// error is logged and kept in the history; nobody but the owner tries again.
	Run func(ctx context.Context) error
}

// JobState says where a job is on its way.
type JobState string

// The states of a job. The last four are ends.
const (
	JobWaiting     JobState = "waiting"
	JobRunning     JobState = "running"
	JobDone        JobState = "done"
	JobFailed      JobState = "failed"
	JobCancelled   JobState = "cancelled"
	JobInterrupted JobState = "interrupted" // the process stopped meanwhile; the job is handed over again
)

// JobStatus is what is known of a job. Times are UTC, and zero until known.
type JobStatus struct {
	Name     string
	Kind     JobKind
	State    JobState
	Node     string        // the process that has it, in a fleet; else ""
	Energy   float64       // joules, estimated; 0 for unknown
	Duration time.Duration // estimated
	Given    time.Time     // when it was handed over
	Deadline time.Time
	Start    time.Time // when it is to begin, as planned now; once it has begun, when it did
	Ended    time.Time

	// AtOnce is what the grid was predicted to emit while the job had run at once, Chosen while it runs as planned, as means in
	// grams per kWh; both 0 without a prediction. Source says whose prediction it is.
	AtOnce, Chosen float64
	Source         string
	// Saved is Energy times the difference, in grams. It is a prediction of an estimate, and labelled so wherever it is shown.
	// Less than 0 where a job came to run later than at once and nothing came of it.
	Saved float64
	// Why says in a sentence why it waits, or ran when it did: "waited 3 h 30 min: 241 → 156 g/kWh, saved 0.4 g".
	Why     string
	Problem string // what went wrong, for a person; "" where nothing did
}

// Jobs takes work that may wait.
type Jobs interface {
	// HandOver takes a job. It returns at once, before the job runs. A job that waits under the same name is replaced, and the
	// earlier of both deadlines holds; of one that runs, this is the next. The error is KindInvalid for a job without a
	// name, a kind or a Run, and the store's where it could not be promised; it then is taken all the same, and only what
	// would survive a restart is missing.
	HandOver(ctx context.Context, j Job) error
	// Cancel drops the job that waits under the name, or ends the one that runs. KindNotFound where there is none in this process.
	Cancel(ctx context.Context, name string) error
	JobLog
}

// JobLog tells what jobs there are and were, also those of other processes of the fleet.
type JobLog interface {
	// Jobs returns what runs and waits, in the order in which it began or is to begin.
	Jobs(ctx context.Context) ([]JobStatus, error)
	// JobHistory returns up to limit jobs that have ended, the latest first. Some hundred are kept.
	JobHistory(ctx context.Context, limit int) ([]JobStatus, error)
}
