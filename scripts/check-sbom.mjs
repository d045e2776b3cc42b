#!/usr/bin/env node
// Checks a release's CycloneDX documents: that they are well formed, and that they list every module of every binary.
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

const dist = process.argv[2] ?? 'dist'
const wrong = []

function read(file) {
	const bom = JSON.parse(readFileSync(`${dist}/${file}`, 'utf8'))
	if (bom.bomFormat !== 'CycloneDX' || !/^1\.[4-7]$/.test(bom.specVersion)) wrong.push(`${file} is not CycloneDX 1.4 to 1.7`)
	if (!/^urn:uuid:[0-9a-f-]{36}$/.test(bom.serialNumber)) wrong.push(`${file} has no serial number`)
	if (!bom.metadata?.component?.name) wrong.push(`${file} does not name its subject`)
	const refs = new Set()
	for (const c of bom.components ?? []) {
		if (!c.name || !c.version || !c.type || !c.purl?.startsWith('pkg:')) wrong.push(`${file}: ${JSON.stringify(c).slice(0, 200)} has no name, version, type or purl`)
		if (refs.has(c['bom-ref'])) wrong.push(`${file}: ${c['bom-ref']} is listed twice`)
		refs.add(c['bom-ref'])
	}
	if (bom.metadata?.component?.['bom-ref']) refs.add(bom.metadata.component['bom-ref'])
	for (const d of bom.dependencies ?? []) {
		for (const ref of [d.ref, ...(d.dependsOn ?? [])]) if (!refs.has(ref)) wrong.push(`${file}: a dependency on ${ref}, which is not a component`)
	}
	return bom
}

const app = read('tandem-app.cdx.json')
if (app.components.length === 0) wrong.push('tandem-app.cdx.json lists no packages')
let binaries = 0
for (const file of readdirSync(dist).filter(f => /^tandem-\w+-\w+(\.exe)?$/.test(f))) {
	binaries++
	const modules = new Set(read(`${file}.cdx.json`).components.map(c => `${c.name}@${c.version}`))
	let deps = 0
	for (const line of execFileSync('go', ['version', '-m', `${dist}/${file}`], { encoding: 'utf8' }).split('\n')) {
		const [kind, name, version] = line.trim().split(/\s+/)
		if (kind !== 'dep') continue
		deps++
		if (!modules.has(`${name}@${version}`)) wrong.push(`${file} contains ${name}@${version}, which its document does not list`)
	}
	if (deps === 0) wrong.push(`${file} has no module information`)
}
if (binaries === 0) wrong.push(`no binary in ${dist}`)
for (const w of wrong) console.error(`check-sbom: ${w}`)
if (wrong.length > 0) process.exit(1)
console.log(`check-sbom: ${binaries} binaries match their documents; the app has ${app.components.length} npm packages`)
