package program

import (
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	"tandem/chat"
	"tandem/imports"
)

// usernames returns the possible local usernames for a foreign name, the best first.
func usernames(name string) iter.Seq[string] {
	return prepared(imports.Names(name, "user-"+name, 32), chat.PrepareUsername)
}

func roomNames(name string) iter.Seq[string] {
	return prepared(imports.Names(name, "room-"+name, 64), func(s string) (string, error) { return chat.PrepareRoomName("name", s) })
}

// prepared returns the valid names among these, in prepared form.
func prepared(names iter.Seq[string], prepare func(string) (string, error)) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range names {
			if p, err := prepare(name); err == nil && !yield(p) {
				return
			}
		}
	}
}

// Person implements imports.Sink.
func (i *importer) Person(p imports.Person) error {
	_, known := i.people[p.Key]
	u, made, err := i.person(p.Key, p.Name)
	if err != nil || i.options.DryRun {
		return err
	}
	// A person who is named before they are passed is created with their name only.
	if !made && !known {
		return nil
	}
	if err := i.profile(u, p); err != nil || !p.Disabled || !i.made[p.Key] {
		return err
	}
	delete(i.made, p.Key) // once is enough
	return i.admin.store.SetDisabled(i.ctx, u.ID, true, false)
}

// person returns the local user; made reports whether the account was created now.
func (i *importer) person(key, name string) (u chat.User, made bool, err error) {
	if u, ok := i.people[key]; ok {
		return u, false, nil
	}
	if i.options.DryRun {
		for u.Name = range usernames(name) {
			if !slices.ContainsFunc(i.report.Renamed, func(r string) bool { return strings.HasSuffix(r, " is "+u.Name) }) {
				break
			}
		}
		u.ID = int64(len(i.people) + 1)
		_, err := i.admin.store.UserNamed(i.ctx, u.Name)
		if made = errors.Is(err, chat.ErrUserNotFound); err != nil && !made {
			return u, false, err
		}
	} else if u, made, err = i.admin.store.ImportUser(i.ctx, i.options.Name, key, i.admin.accounts.NoPassword(), usernames(name)); err != nil {
		return u, false, fmt.Errorf("the user %q: %w", name, err)
	}
	if made {
		i.made[key] = true
		i.report.People++
	} else {
		i.report.Matched++
	}
	i.people[key] = u
	if u.Name != strings.ToLower(name) {
		i.report.Renamed = append(i.report.Renamed, fmt.Sprintf("the user %q is %s", name, u.Name))
	}
	if u.Name != name {
		i.renamed[name] = u.Name
	}
	return u, made, nil
}

// profile fills in what a person says about themselves, unless they have said it here.
func (i *importer) profile(u chat.User, p imports.Person) error {
	had, err := i.admin.store.Profile(i.ctx, u.ID)
	if errors.Is(err, chat.ErrGone) {
		return nil
	}
	if err != nil || had.DisplayName != "" || had.Avatar != "" || had.Data != nil {
		return err
	}
	change := chat.ProfileChange{Data: p.Data}
	if p.DisplayName != "" && p.DisplayName != u.Name {
		change.DisplayName = &p.DisplayName
	}
	if err := change.Check(); err != nil {
		i.LeftOut("display names and data of people that cannot be here")
		change = chat.ProfileChange{}
	}
	if p.Avatar != nil {
		avatar, err := i.file(*p.Avatar, chat.InboxTopic(u.ID))
		if err != nil {
			return err
		}
		if avatar != nil {
			avatar.Owner = u.ID
			if err := i.admin.store.AddFile(i.ctx, chat.Guard{}, *avatar); err != nil {
				return err
			}
			change.Avatar = &avatar.ID
		}
	}
	if change.Empty() {
		return nil
	}
	_, _, _, err = i.admin.store.ChangeProfile(i.ctx, u.ID, change)
	return err
}

// mentioned matches an @ and a possible foreign name.
var mentioned = regexp.MustCompile(`@[\pL\pN][\pL\pN\pM._-]*`)

// renameIn replaces the names of people mentioned in a text with their local names.
func (i *importer) renameIn(text string) string {
	if len(i.renamed) == 0 || !strings.Contains(text, "@") {
		return text
	}
	return mentioned.ReplaceAllStringFunc(text, func(found string) string {
		for end := len(found); end > 1; end-- { // a full stop at the end is not part of the name
			if name, ok := i.renamed[found[1:end]]; ok {
				return "@" + name + found[end:]
			}
			if !strings.HasSuffix(found[:end], ".") && !strings.HasSuffix(found[:end], "-") && !strings.HasSuffix(found[:end], "_") {
				break
			}
		}
		return found
	})
}
