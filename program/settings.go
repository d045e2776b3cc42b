package program

import (
	"path/filepath"

	"github.com/alecthomas/kong"
)

// Settings are flags and TANDEM_* variables.
type Settings struct {
	Addr             string   `default:":8080" env:"TANDEM_ADDR" help:"Where to listen."`
	MetricsAddr      string   `env:"TANDEM_METRICS_ADDR" placeholder:"ADDR" help:"Where to serve /metrics to Prometheus; nowhere if not given."`
	TLSCert          string   `env:"TANDEM_TLS_CERT" type:"path" placeholder:"FILE" help:"Serve HTTPS and HTTP/2 with this certificate: PEM, with the chain. Needs --tls-key."`
	TLSKey           string   `env:"TANDEM_TLS_KEY" type:"path" placeholder:"FILE" help:"The certificate's private key, PEM."`
	DataDir          string   `default:"./data" env:"TANDEM_DATA_DIR" type:"path" help:"Where the index of words lies, and the SQLite database if there is no database-url; made if missing."`
	DatabaseURL      string   `name:"database-url" env:"TANDEM_DATABASE_URL" placeholder:"postgres://…" help:"A PostgreSQL database in place of SQLite; several nodes may share it."`
	DatabaseURLFile  string   `name:"database-url-file" env:"TANDEM_DATABASE_URL_FILE" type:"path" placeholder:"FILE" help:"A file that has the database's URL."`
	DatabasePooler   bool     `name:"database-pooler" env:"TANDEM_DATABASE_POOLER" help:"PostgreSQL is behind a pooler that shares its sessions between transactions, such as PgBouncer; found out if not given."`
	ValkeyURL        string   `name:"valkey-url" env:"TANDEM_VALKEY_URL" placeholder:"valkey://…" help:"A Valkey, or with commas a cluster of it, that carries events and presence between the nodes; valkeys:// for TLS. Needs --database-url."`
	ValkeyURLFile    string   `name:"valkey-url-file" env:"TANDEM_VALKEY_URL_FILE" type:"path" placeholder:"FILE" help:"A file that has Valkey's URL."`
	JWTSecret        string   `env:"TANDEM_JWT_SECRET" help:"Signs access tokens, 32 bytes or more; made at the first start and kept in the database if not given."`
	JWTSecretFile    string   `env:"TANDEM_JWT_SECRET_FILE" type:"path" placeholder:"FILE" help:"A file that has the JWT secret."`
	JWTKeyFiles      []string `name:"jwt-key-file" env:"TANDEM_JWT_KEY_FILE" type:"path" placeholder:"FILE" help:"Signs access tokens in place of the secret: a PKCS#8 PEM private key, Ed25519, RSA or P-256. Twice or with a comma: the first signs, both verify."`
	JWKSURL          string   `name:"jwks-url" env:"TANDEM_JWKS_URL" placeholder:"URL" help:"The JWKS URL of an outside issuer, whose access tokens then are the only way in; https, or http on localhost. Needs --jwt-issuer."`
	JWTIssuer        string   `default:"tandem" env:"TANDEM_JWT_ISSUER" help:"The iss claim of access tokens."`
	JWTAudience      string   `default:"tandem" env:"TANDEM_JWT_AUDIENCE" help:"The aud claim of access tokens."`
	Signup           string   `default:"open" enum:"open,closed" env:"TANDEM_SIGNUP" help:"Whether people may sign up: open or closed."`
	ReservedNames    []string `env:"TANDEM_RESERVED_NAMES" placeholder:"NAME" help:"Usernames that nobody can sign up under, with commas, beside admin, system and the like; the command line can."`
	AnonymousRead    bool     `env:"TANDEM_ANONYMOUS_READ" help:"Whether public rooms can be read and followed without an account."`
	Admin            string   `env:"TANDEM_ADMIN" placeholder:"USERNAME:PASSWORD" help:"An account with the role admin, made at the first start; better as a file or a variable, which other processes do not see."`
	AdminFile        string   `env:"TANDEM_ADMIN_FILE" type:"path" placeholder:"FILE" help:"A file that has it."`
	RingBytes        int      `default:"67108864" env:"TANDEM_RING_BYTES" help:"How many bytes of recent events to keep in memory for streams that come back."`
	Origins          []string `env:"TANDEM_ORIGINS" help:"Other origins whose pages may call and open streams, such as https://app.example.com."`
	LimitPosts       int      `default:"20" env:"TANDEM_LIMIT_POSTS" help:"Posts a second of a user, in bursts of twice as many; 0 is no limit, here and below."`
	LimitLogins      int      `default:"10" env:"TANDEM_LIMIT_LOGINS" help:"Logins a minute for an account; three times as many from an address."`
	LimitSignups     int      `default:"20" env:"TANDEM_LIMIT_SIGNUPS" help:"Signups an hour from an address."`
	LimitStreams     int      `default:"20" env:"TANDEM_LIMIT_STREAMS" help:"Streams of a user at once."`
	LimitWrites      int      `default:"10" env:"TANDEM_LIMIT_WRITES" help:"Other writing calls a second of a user, such as joins and read markers, in bursts of ten times as many."`
	LimitReads       int      `default:"10" env:"TANDEM_LIMIT_READS" help:"Costly reading calls a second of a user, such as searches and lists of rooms and users, in bursts of ten times as many."`
	LimitRooms       int      `default:"100" env:"TANDEM_LIMIT_ROOMS" help:"Rooms that a user has made or owns."`
	LimitMemberships int      `default:"1000" env:"TANDEM_LIMIT_MEMBERSHIPS" help:"Rooms that a user is a member of."`
	LimitBans        int      `default:"10000" env:"TANDEM_LIMIT_BANS" help:"Bans in a room."`
	LimitBlocks      int      `default:"1000" env:"TANDEM_LIMIT_BLOCKS" help:"Others whom a user blocks."`
	LimitTokens      int      `default:"50" env:"TANDEM_LIMIT_TOKENS" help:"API tokens of a user."`
	LimitTickets     int      `default:"20" env:"TANDEM_LIMIT_TICKETS" help:"Tickets of a user that are not used yet."`
	LimitSessions    int      `default:"100" env:"TANDEM_LIMIT_SESSIONS" help:"Logins of a user; one more ends the one that was refreshed the longest ago."`
	TrustedProxies   []string `env:"TANDEM_TRUSTED_PROXIES" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For says who calls, for the limits by address; nobody's counts unless given."`
	LogLevel         string   `default:"info" enum:"debug,info,warn,error" env:"TANDEM_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat        string   `default:"text" enum:"text,json" env:"TANDEM_LOG_FORMAT" help:"text or json."`

	// HashCommand is the command line of the processes that hash passwords (auth.Config); main sets it.
	HashCommand []string `kong:"-"`
	// PlainStreams has every stream served as over TLS (realtime.Config); tests set it.
	PlainStreams bool `kong:"-"`
}

// defaultIssuer is the iss of our own tokens, which no outside issuer's have.
const defaultIssuer = "tandem"

// Defaults are the settings of an empty command line, with what the environment says.
func Defaults() Settings {
	var line struct {
		Settings `embed:""`
	}
	if _, err := kong.Must(&line).Parse(nil); err != nil {
		panic(err) // the defaults above are valid
	}
	return line.Settings
}

// Place is where the data is kept, for people; without secrets.
func (s Settings) Place() string {
	if s.DatabaseURL != "" || s.DatabaseURLFile != "" {
		return "PostgreSQL"
	}
	if dir, err := filepath.Abs(s.DataDir); err == nil {
		return dir
	}
	return s.DataDir
}
