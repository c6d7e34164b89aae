// Writes a TypeScript file's JavaScript beside it, without checking types: worker.ts becomes worker.mjs.
import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

const path = process.argv[2]
const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true }
const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), { compilerOptions })
writeFileSync(path.replace(/\.ts$/, '.mjs'), outputText)
