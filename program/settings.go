package program

import (
	"cmp"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"
)

// Settings are flags and TANDEM_* variables.
type Settings struct {
	Addr             string   `env:"TANDEM_ADDR" help:"The address to listen on; by default :8080, or the port in the variable PORT."`
	MetricsAddr      string   `env:"TANDEM_METRICS_ADDR" placeholder:"ADDR" help:"The address to serve /metrics for Prometheus on; off by default."`
	TLSCert          string   `env:"TANDEM_TLS_CERT" type:"path" placeholder:"FILE" help:"Serve HTTPS and HTTP/2 with this certificate: PEM, with the chain. Needs --tls-key."`
	TLSKey           string   `env:"TANDEM_TLS_KEY" type:"path" placeholder:"FILE" help:"The certificate's private key, PEM."`
	DataDir          string   `default:"./data" env:"TANDEM_DATA_DIR" type:"path" help:"The folder for the search index, uploaded files, and the SQLite database without database-url; created if missing."`
	DatabaseURL      string   `name:"database-url" env:"TANDEM_DATABASE_URL" placeholder:"postgres://…" help:"A PostgreSQL database instead of SQLite; several nodes can share it."`
	DatabaseURLFile  string   `name:"database-url-file" env:"TANDEM_DATABASE_URL_FILE" type:"path" placeholder:"FILE" help:"A file with the database's URL."`
	DatabasePooler   bool     `name:"database-pooler" env:"TANDEM_DATABASE_POOLER" help:"PostgreSQL is behind a pooler that shares sessions between transactions, such as PgBouncer; detected by default."`
	ValkeyURL        string   `name:"valkey-url" env:"TANDEM_VALKEY_URL" placeholder:"valkey://…" help:"A Valkey server, or the hosts of a cluster separated by commas, that carries events and presence between nodes; valkeys:// for TLS. Needs --database-url."`
	ValkeyURLFile    string   `name:"valkey-url-file" env:"TANDEM_VALKEY_URL_FILE" type:"path" placeholder:"FILE" help:"A file with Valkey's URL."`
	FilesURL         string   `name:"files-url" env:"TANDEM_FILES_URL" placeholder:"s3://…" help:"An S3-compatible store for uploaded files, s3://bucket/prefix?endpoint=&region=; by default, the folder files in the data dir. Nodes that share a database need it, or a shared folder there."`
	FileTypes        []string `name:"file-types" env:"TANDEM_FILE_TYPES" placeholder:"TYPE" help:"Allowed media types of uploads, detected from their bytes, such as image/*,application/pdf; all by default."`
	PushContent      string   `default:"on" enum:"on,off" env:"TANDEM_PUSH_CONTENT" help:"Whether notifications contain the beginning of the message: on or off."`
	PushContact      string   `env:"TANDEM_PUSH_CONTACT" placeholder:"mailto:…" help:"A contact for the push services of browsers: mailto: or https:."`
	FCMCredentials   string   `name:"fcm-credentials-file" env:"TANDEM_FCM_CREDENTIALS_FILE" type:"path" placeholder:"FILE" help:"The JSON of a Google service account, for Android notifications by Firebase Cloud Messaging."`
	APNsKeyFile      string   `name:"apns-key-file" env:"TANDEM_APNS_KEY_FILE" type:"path" placeholder:"FILE" help:"Apple's .p8 key, for iOS notifications. Needs --apns-key-id, --apns-team-id and --apns-topic."`
	APNsKeyID        string   `name:"apns-key-id" env:"TANDEM_APNS_KEY_ID" help:"The key's id."`
	APNsTeamID       string   `name:"apns-team-id" env:"TANDEM_APNS_TEAM_ID" help:"The developer team's id."`
	APNsTopic        string   `name:"apns-topic" env:"TANDEM_APNS_TOPIC" placeholder:"com.example.chat" help:"The app's bundle id."`
	APNsSandbox      bool     `name:"apns-sandbox" env:"TANDEM_APNS_SANDBOX" help:"Use Apple's sandbox, for development builds of the app."`
	PushURL          string   `name:"push-url" env:"TANDEM_PUSH_URL" placeholder:"URL" help:"Your own gateway: receives fcm and apns notifications without credentials here, signed with push-secret."`
	PushSecret       string   `env:"TANDEM_PUSH_SECRET" placeholder:"whsec_…" help:"Signs requests to push-url as in Standard Webhooks: whsec_ and 24 to 64 bytes in base64."`
	PushSecretFile   string   `env:"TANDEM_PUSH_SECRET_FILE" type:"path" placeholder:"FILE" help:"A file with the secret."`
	JWTSecret        string   `env:"TANDEM_JWT_SECRET" help:"Signs access tokens, 32 bytes or more; generated at the first start and kept in the database by default."`
	JWTSecretFile    string   `env:"TANDEM_JWT_SECRET_FILE" type:"path" placeholder:"FILE" help:"A file with the JWT secret."`
	JWTKeyFiles      []string `name:"jwt-key-file" env:"TANDEM_JWT_KEY_FILE" type:"path" placeholder:"FILE" help:"Signs access tokens instead of the secret: a PKCS#8 PEM private key, Ed25519, RSA or P-256. Of two, repeated or separated by a comma, the first signs and both verify."`
	JWKSURL          string   `name:"jwks-url" env:"TANDEM_JWKS_URL" placeholder:"URL" help:"The JWKS URL of an outside issuer, whose access tokens become the only way to log in; https, or http on localhost. Needs --jwt-issuer."`
	JWTIssuer        string   `default:"tandem" env:"TANDEM_JWT_ISSUER" help:"The iss claim of access tokens."`
	JWTAudience      string   `default:"tandem" env:"TANDEM_JWT_AUDIENCE" help:"The aud claim of access tokens."`
	Signup           string   `default:"open" enum:"open,closed" env:"TANDEM_SIGNUP" help:"Whether users can sign up: open or closed."`
	ReservedNames    []string `env:"TANDEM_RESERVED_NAMES" placeholder:"NAME" help:"Usernames, separated by commas, that nobody can sign up with, in addition to admin, system and the like; 'tandem user add' can create them."`
	AnonymousRead    bool     `env:"TANDEM_ANONYMOUS_READ" help:"Let public rooms be read and followed without an account."`
	Admin            string   `env:"TANDEM_ADMIN" placeholder:"USERNAME:PASSWORD" help:"An admin account to create at the first start; prefer a file or a variable, which other processes cannot see."`
	AdminFile        string   `env:"TANDEM_ADMIN_FILE" type:"path" placeholder:"FILE" help:"A file with username:password."`
	RingBytes        int      `default:"67108864" env:"TANDEM_RING_BYTES" help:"How many bytes of recent events to keep in memory for streams that resume."`
	Origins          []string `env:"TANDEM_ORIGINS" help:"Other origins whose pages can call the API and open streams, such as https://app.example.com."`
	LimitPosts       int      `default:"20" env:"TANDEM_LIMIT_POSTS" help:"Posts per second and user, in bursts of twice as many; here and below, 0 is no limit."`
	LimitEphemeral   int      `default:"30" env:"TANDEM_LIMIT_EPHEMERAL" help:"Ephemeral events per second and user, in bursts of twice as many."`
	LimitLogins      int      `default:"10" env:"TANDEM_LIMIT_LOGINS" help:"Logins per minute and account; three times as many per address."`
	LimitSignups     int      `default:"20" env:"TANDEM_LIMIT_SIGNUPS" help:"Signups per hour and address."`
	LimitStreams     int      `default:"20" env:"TANDEM_LIMIT_STREAMS" help:"Open streams per user."`
	LimitWrites      int      `default:"10" env:"TANDEM_LIMIT_WRITES" help:"Other writes per second and user, such as joins and read markers, in bursts of ten times as many."`
	LimitReads       int      `default:"10" env:"TANDEM_LIMIT_READS" help:"Costly reads per second and user, such as searches and lists of rooms and users, in bursts of ten times as many."`
	LimitFileSize    int64    `default:"10485760" env:"TANDEM_LIMIT_FILE_SIZE" help:"Bytes of a file."`
	LimitFiles       int64    `default:"104857600" env:"TANDEM_LIMIT_FILES" help:"Bytes that a user can upload per day."`
	LimitRooms       int      `default:"100" env:"TANDEM_LIMIT_ROOMS" help:"Rooms that a user has created or owns."`
	LimitMemberships int      `default:"1000" env:"TANDEM_LIMIT_MEMBERSHIPS" help:"Rooms that a user is a member of."`
	LimitBans        int      `default:"10000" env:"TANDEM_LIMIT_BANS" help:"Bans in a room."`
	LimitBlocks      int      `default:"1000" env:"TANDEM_LIMIT_BLOCKS" help:"Users that a user blocks."`
	LimitTokens      int      `default:"50" env:"TANDEM_LIMIT_TOKENS" help:"API tokens of a user."`
	LimitTickets     int      `default:"20" env:"TANDEM_LIMIT_TICKETS" help:"Unused tickets per user."`
	LimitSessions    int      `default:"100" env:"TANDEM_LIMIT_SESSIONS" help:"Sessions per user; one more ends the one refreshed longest ago."`
	Retention        string   `env:"TANDEM_RETENTION" placeholder:"DAYS" help:"How long to keep messages, such as 90d; unlimited by default. Pinned messages stay, and rooms can choose a shorter time."`
	TrustedProxies   []string `env:"TANDEM_TRUSTED_PROXIES" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is trusted, for limits per address; none by default."`
	HooksAllow       []string `env:"TANDEM_HOOKS_ALLOW" placeholder:"CIDR" help:"Addresses, separated by commas, that hooks and push services can use although they are not public."`

	// For platforms and proxies in front.
	BasePath  string        `default:"/" env:"TANDEM_BASE_PATH" placeholder:"/PATH" help:"Serve everything below this path, such as /chat; the proxy must pass it on unchanged. /healthz and /readyz are at the root too."`
	MaxStream time.Duration `default:"0s" env:"TANDEM_MAX_STREAM" help:"End each stream after this time, give or take 10 %, and let its client reconnect at once. Set it below the time after which your platform cuts requests, such as 50m; 0 is unlimited."`

	BeforePostURL        string `name:"before-post-url" env:"TANDEM_BEFORE_POST_URL" placeholder:"URL" help:"A hook that is called before a message in a room is posted or edited; it can refuse, mark or report it."`
	BeforePostSecret     string `env:"TANDEM_BEFORE_POST_SECRET" placeholder:"whsec_…" help:"Signs requests to before-post-url as in Standard Webhooks: whsec_ and 24 to 64 bytes in base64."`
	BeforePostSecretFile string `env:"TANDEM_BEFORE_POST_SECRET_FILE" type:"path" placeholder:"FILE" help:"A file with the secret."`
	BeforePostOnFailure  string `default:"open" enum:"open,closed" env:"TANDEM_BEFORE_POST_ON_FAILURE" help:"What to do if before-post-url does not answer within 500 ms: open posts the message, closed refuses it."`
	BeforePostPrivate    bool   `env:"TANDEM_BEFORE_POST_PRIVATE" help:"Also call before-post-url for private messages."`

	LogLevel  string `default:"info" enum:"debug,info,warn,error" env:"TANDEM_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat string `default:"text" enum:"text,json" env:"TANDEM_LOG_FORMAT" help:"text or json."`

	// The URLs of FCM and APNs, for an emulator, and trusted roots.
	FCMURL  string `name:"fcm-url" env:"TANDEM_FCM_URL" hidden:""`
	APNsURL string `name:"apns-url" env:"TANDEM_APNS_URL" hidden:""`

	// HashWait is how long the process of HashCommand may take for a password (auth.Config); tests set it.
	HashWait time.Duration `env:"TANDEM_HASH_WAIT" hidden:""`

	// PostgresWait is how long PostgreSQL may take (store.Config); tests set it.
	PostgresWait time.Duration `kong:"-"`
	// PushGrace is how long notifications wait, and PushRoots are the trusted roots for push services; tests set them.
	PushGrace time.Duration  `kong:"-"`
	PushRoots *x509.CertPool `kong:"-"`
	// LimitNow is the clock of rate limits; tests set it.
	LimitNow func() time.Time `kong:"-"`
	// BeforePostTimeout is how long before-post hooks may take; tests set it.
	BeforePostTimeout time.Duration `kong:"-"`
	// Getenv has the OTEL_* variables; the environment if nil. Tests set it.
	Getenv func(string) string `kong:"-"`
	// HashCommand is the command line of the processes that hash passwords (auth.Config); main sets it.
	HashCommand []string `kong:"-"`
	// HashMemory is the memory in KiB that new password hashes take (auth.Config); tests set it, 0 for what is safe.
	HashMemory uint32 `kong:"-"`
	// RetentionNow is the clock for the age of messages, and RetentionEvery how often it is checked; tests set them.
	RetentionNow   func() time.Time `kong:"-"`
	RetentionEvery time.Duration    `kong:"-"`
	// PlainStreams serves every stream as over TLS (realtime.Config); tests set it.
	PlainStreams bool `kong:"-"`
}

// ListenAddr returns addr or, if it is empty, the port that a platform sets in PORT, or :8080.
func ListenAddr(addr string) string {
	if addr != "" {
		return addr
	}
	return ":" + cmp.Or(os.Getenv("PORT"), "8080")
}

// defaultIssuer is the iss of our own tokens, which no outside issuer uses.
const defaultIssuer = "tandem"

// Defaults returns the settings of an empty command line, with the environment's, which may be invalid.
func Defaults() (Settings, error) {
	var line struct {
		Settings `embed:""`
	}
	if _, err := kong.Must(&line).Parse(nil); err != nil {
		// Not kong's error, with which the command would print the usage of the server.
		return Settings{}, errors.New(err.Error())
	}
	return line.Settings, nil
}

// Place describes where the data is, without secrets.
func (s Settings) Place() string {
	if s.DatabaseURL != "" || s.DatabaseURLFile != "" {
		return "PostgreSQL"
	}
	if dir, err := filepath.Abs(s.DataDir); err == nil {
		return dir
	}
	return s.DataDir
}
