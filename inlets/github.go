package inlets

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxCommits is how many commits of a push a message names.
const maxCommits = 5

type githubEvent struct {
	Action     string `json:"action"`
	Repository struct {
		FullName string `json:"full_name"`
		HTMLURL  string `json:"html_url"`
	} `json:"repository"`
	Organization struct {
		Login string `json:"login"`
	} `json:"organization"`
	Sender githubUser `json:"sender"`

	// push
	Ref     string `json:"ref"`
	Created bool   `json:"created"`
	Deleted bool   `json:"deleted"`
	Forced  bool   `json:"forced"`
	Compare string `json:"compare"`
	Commits []struct {
		ID      string `json:"id"`
		Message string `json:"message"`
		Author  struct {
			Name string `json:"name"`
		} `json:"author"`
	} `json:"commits"`
	Pusher struct {
		Name string `json:"name"`
	} `json:"pusher"`

	// pull_request and issues
	PullRequest *githubIssue `json:"pull_request"`
	Issue       *githubIssue `json:"issue"`
	Label       struct {
		Name string `json:"name"`
	} `json:"label"`
	Assignee          githubUser `json:"assignee"`
	RequestedReviewer githubUser `json:"requested_reviewer"`
	RequestedTeam     struct {
		Name string `json:"name"`
	} `json:"requested_team"`
	Milestone struct {
		Title string `json:"title"`
	} `json:"milestone"`
	Changes struct {
		Title *struct{} `json:"title"`
	} `json:"changes"`

	Zen string `json:"zen"` // ping
}

type githubUser struct {
	Login string `json:"login"`
}

type githubIssue struct {
	Number  int    `json:"number"`
	Title   string `json:"title"`
	Body    string `json:"body"`
	HTMLURL string `json:"html_url"`
	Merged  bool   `json:"merged"`
	Draft   bool   `json:"draft"`
	Reason  string `json:"state_reason"`
	Head    struct {
		Ref string `json:"ref"`
	} `json:"head"`
	Base struct {
		Ref string `json:"ref"`
	} `json:"base"`
}

// github is what an event that came with X-GitHub-Event says.
func github(event string, body []byte) (string, error) {
	var e githubEvent
	if json.Unmarshal(body, &e) != nil {
		return "", ErrNotUnderstood
	}
	switch {
	case event == "ping":
		where := firstOf(e.Repository.FullName, e.Organization.Login)
		return strings.TrimSpace("GitHub is connected: events of " + firstOf(where, "the organization") + " come here."), nil
	case event == "push" && e.Ref != "":
		return e.push(), nil
	case event == "pull_request" && e.PullRequest != nil:
		return e.changed("pull request", e.PullRequest), nil
	case event == "issues" && e.Issue != nil:
		return e.changed("issue", e.Issue), nil
	}
	return "", ErrNotUnderstood
}

func (e *githubEvent) push() string {
	who := firstOf(e.Sender.Login, e.Pusher.Name)
	ref, kind := strings.TrimPrefix(e.Ref, "refs/heads/"), "branch"
	if tag, isTag := strings.CutPrefix(e.Ref, "refs/tags/"); isTag {
		ref, kind = tag, "tag"
	}
	at := e.Repository.FullName
	switch {
	case e.Deleted:
		return fmt.Sprintf("%s deleted the %s %s of %s\n%s", who, kind, ref, at, e.Repository.HTMLURL)
	case len(e.Commits) == 0 && e.Created:
		return fmt.Sprintf("%s created the %s %s of %s\n%s", who, kind, ref, at, e.Compare)
	}
	verb := "pushed"
	if e.Forced {
		verb = "force-pushed"
	}
	lines := []string{fmt.Sprintf("%s %s %s to %s of %s", who, verb, count(len(e.Commits), "commit"), ref, at)}
	for i, c := range e.Commits {
		if i == maxCommits {
			lines = append(lines, fmt.Sprintf("… and %d more", len(e.Commits)-maxCommits))
			break
		}
		author := ""
		if c.Author.Name != "" {
			author = " — " + line(c.Author.Name, 60)
		}
		lines = append(lines, "- "+firstRunes(c.ID, 7)+" "+firstLine(c.Message, 100)+author)
	}
	return paragraphs(append(lines, e.Compare)...)
}

// changed says what happened to a pull request or an issue.
func (e *githubEvent) changed(kind string, i *githubIssue) string {
	what := fmt.Sprintf("%s #%d of %s", kind, i.Number, e.Repository.FullName)
	lines := []string{e.Sender.Login + " " + e.happened(kind, what, i) + ": " + line(i.Title, 200)}
	if e.Action == "opened" {
		if kind == "pull request" {
			lines[0] += " (" + i.Head.Ref + " → " + i.Base.Ref + ")"
		}
		lines = append(lines, firstLine(i.Body, 300))
	}
	return paragraphs(append(lines, i.HTMLURL)...)
}

func (e *githubEvent) happened(kind, what string, i *githubIssue) string {
	switch e.Action {
	case "opened":
		if i.Draft {
			return "opened the draft " + what
		}
	case "closed":
		switch {
		case i.Merged:
			return "merged " + what
		case i.Reason == "not_planned":
			return "closed " + what + " as not planned"
		}
	case "synchronize":
		return "pushed to " + what
	case "ready_for_review":
		return "marked " + what + " as ready for review"
	case "converted_to_draft":
		return "made " + what + " a draft"
	case "labeled":
		return "added the label " + e.Label.Name + " to " + what
	case "unlabeled":
		return "took the label " + e.Label.Name + " off " + what
	case "assigned":
		return "assigned " + e.Assignee.Login + " to " + what
	case "unassigned":
		return "unassigned " + e.Assignee.Login + " from " + what
	case "review_requested":
		return "asked " + firstOf(e.RequestedReviewer.Login, e.RequestedTeam.Name) + " to review " + what
	case "review_request_removed":
		return "no longer asks " + firstOf(e.RequestedReviewer.Login, e.RequestedTeam.Name) + " to review " + what
	case "milestoned":
		return "added " + what + " to the milestone " + e.Milestone.Title
	case "demilestoned":
		return "took " + what + " out of the milestone " + e.Milestone.Title
	}
	// reopened, edited, deleted, transferred, pinned, locked … are words for what was done.
	return strings.ReplaceAll(e.Action, "_", " ") + " " + what
}
