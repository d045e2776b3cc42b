package harness

import ()

// Ask sends a frame that must be refused and returns the reply.
func (p *TutorialPage) Ask(frame string) Answer {
	p.t.Helper()
	p.Say(frame)
	_, r := p.Next("reply")
	return r.Answer(p.t, frame)
}
