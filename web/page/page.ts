// The page: terminals, buttons and files around a machine. What runs is `machine.json` beside the page,
// or in the folder that `?machine=` names (of this site).
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import './page.css';
import { Machine, type Progress, missing } from '../src/browser.js';

type Vm = Machine;

const SHARE = 'share';
const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const status = element('status');
const bar = element<HTMLProgressElement>('progress');
const button = (id: string) => element<HTMLButtonElement>(id);

function say(text: string, isError = false): void {
    status.textContent = text;
    status.classList.toggle('error', isError);
    status.setAttribute('role', isError ? 'alert' : 'status');
}

function fail(error: unknown): void {
    bar.hidden = true;
    say(error instanceof Error ? error.message : String(error), true);
}

/** Without the headers, a service worker may add them; the page then loads once more. */
async function isolate(): Promise<boolean> {
    if (globalThis.crossOriginIsolated || !('serviceWorker' in navigator)) return false;
    if (!globalThis.isSecureContext || sessionStorage.getItem('tinamou-isolated')) return false;
    await navigator.serviceWorker.register('sw.js');
    await navigator.serviceWorker.ready;
    sessionStorage.setItem('tinamou-isolated', 'tried');
    location.reload();
    return true;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const [background, foreground] = [color('--back'), color('--text')];
    const bright = dark.matches ? {} : { white: '#555', brightWhite: '#222', yellow: '#7a5d00' };
    return { background, foreground, cursor: foreground, selectionBackground: '#88888866', ...bright };
};

/** One console in a tab. */
class Tab {
    readonly terminal = new Terminal({
        cursorBlink: true, scrollback: 5000, fontSize: 14, theme: theme(), screenReaderMode: false,
        fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
    });
    readonly #fit = new FitAddon();
    readonly pane = document.createElement('div');
    readonly tab = document.createElement('button');

    constructor(index: number, show: (tab: Tab) => void) {
        const name = index === 0 ? 'Console' : `hvc${index - 1}`;
        this.pane.id = `pane${index}`;
        this.pane.setAttribute('role', 'tabpanel');
        this.pane.setAttribute('aria-label', name);
        this.tab.textContent = name;
        this.tab.setAttribute('role', 'tab');
        this.tab.setAttribute('aria-controls', this.pane.id);
        this.tab.onclick = () => show(this);
        element('screens').append(this.pane);
        element('tabs').append(this.tab);
        this.terminal.loadAddon(this.#fit);
        this.terminal.open(this.pane);
        this.terminal.attachCustomKeyEventHandler((event) => this.#key(event));
        new ResizeObserver(() => this.fit()).observe(this.pane);
        dark.addEventListener('change', () => {
            this.terminal.options.theme = theme();
        });
    }

    fit(): void {
        if (!this.pane.hidden && this.pane.clientHeight > 0) this.#fit.fit();
    }

    show(shown: boolean): void {
        this.pane.hidden = !shown;
        this.tab.setAttribute('aria-selected', String(shown));
        if (!shown) return;
        this.fit();
        this.terminal.focus();
    }

    async copy(): Promise<void> {
        await navigator.clipboard.writeText(this.terminal.getSelection());
    }

    async paste(): Promise<void> {
        this.terminal.paste(await navigator.clipboard.readText());
        this.terminal.focus();
    }

    /** Ctrl-Shift-C and V are ours, and Ctrl-Shift-F6 leaves the terminal: Tab belongs to the guest. */
    #key(event: KeyboardEvent): boolean {
        if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey) return true;
        const action = { KeyC: () => this.copy(), KeyV: () => this.paste() }[event.code];
        if (event.code === 'F6') button('pause').focus();
        else if (!action) return true;
        event.preventDefault();
        action?.().catch(fail);
        return false;
    }
}

const amount = (bytes: number) => `${(bytes / (1 << 20)).toFixed(1)} MiB`;

/** Sums up what is being fetched. */
function progressBar(): (progress: Progress) => void {
    const all = new Map<string, Progress>();
    const stages = { emulator: 'Loading', files: 'Loading', start: 'Starting' };
    return (progress) => {
        all.set(progress.name, progress);
        const sum = (key: 'loaded' | 'total') =>
            [...all.values()].reduce((total, one) => total + one[key], 0);
        const [loaded, total] = [sum('loaded'), sum('total')];
        const isKnown = progress.stage !== 'start' && [...all.values()].every((one) => one.total > 0);
        if (isKnown) [bar.max, bar.value] = [total, loaded];
        else bar.removeAttribute('value');
        const of = isKnown ? ` of ${amount(total)}` : '';
        say(`${stages[progress.stage]} ${progress.name}: ${amount(loaded)}${of}`);
    };
}

async function putFiles(vm: Vm, files: Iterable<File>): Promise<void> {
    for (const file of files) {
        const bytes = new Uint8Array(await file.arrayBuffer());
        await vm.fs.writeFile(file.name, bytes);
        say(`${file.name} is in the share (${amount(bytes.length)})`);
    }
    await listFiles(vm);
}

async function getFile(vm: Vm, name: string): Promise<void> {
    const bytes = await vm.fs.readFile(name);
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function listFiles(vm: Vm): Promise<void> {
    const rows = (await vm.fs.list()).map((file) => {
        const row = document.createElement('li');
        const get = document.createElement('button');
        get.textContent = `Get ${file.name}`;
        get.disabled = file.kind !== 'file';
        get.onclick = () => getFile(vm, file.name).catch(fail);
        row.append(get, file.kind === 'file' ? amount(file.size) : file.kind);
        return row;
    });
    element('list').replaceChildren(...rows);
}

function connectFiles(vm: Vm): void {
    const [panel, toggle] = [element('share'), button('files')];
    toggle.onclick = () => {
        panel.hidden = !panel.hidden;
        toggle.setAttribute('aria-expanded', String(!panel.hidden));
        if (!panel.hidden) listFiles(vm).catch(fail);
    };
    element('refresh').onclick = () => void listFiles(vm).catch(fail);
    const upload = element<HTMLInputElement>('upload');
    upload.onchange = () => void putFiles(vm, upload.files ?? []).catch(fail);
    const dropping = (is: boolean) => document.body.classList.toggle('dropping', is);
    document.addEventListener('dragover', (event) => {
        event.preventDefault();
        dropping(true);
    });
    document.addEventListener('dragleave', () => dropping(false));
    document.addEventListener('drop', (event) => {
        event.preventDefault();
        dropping(false);
        putFiles(vm, event.dataTransfer?.files ?? []).catch(fail);
    });
}

function connectButtons(vm: Vm, shown: () => Tab): void {
    const pause = button('pause');
    pause.onclick = () => (vm.state === 'paused' ? vm.resume() : vm.pause()).catch(fail);
    button('reset').onclick = () => vm.reset().catch(fail);
    button('copy').onclick = () => shown().copy().catch(fail);
    button('paste').onclick = () => shown().paste().catch(fail);
    const all = ['pause', 'reset', 'copy', 'paste', 'files'].map(button);
    all.forEach((one) => (one.disabled = false));
    vm.on('state', ({ state }) => {
        pause.textContent = state === 'paused' ? 'Resume' : 'Pause';
        say({ running: 'Running', paused: 'Paused', ended: 'Ended' }[state]);
        if (state === 'ended') all.forEach((one) => (one.disabled = one.id !== 'copy'));
    });
    vm.on('exit', ({ code, entrypoint }) => {
        say(`The machine has ended with exit code ${entrypoint ?? code}`);
    });
    vm.on('panic', ({ message }) => fail(new Error(message)));
    vm.on('message', ({ text }) => console.warn(text));
}

async function showTitle(url: URL): Promise<void> {
    const description = await fetch(url).then((response) => response.json()).catch(() => ({}));
    const { title } = description as { title?: unknown };
    if (typeof title !== 'string' || !title) return;
    element('title').textContent = title;
    document.title = title;
}

async function main(): Promise<void> {
    if (await isolate()) return;
    const lack = missing();
    if (lack) throw new Error(lack);
    const query = new URLSearchParams(location.search);
    const folder = new URL(query.get('machine') ?? './', location.href);
    if (folder.origin !== location.origin) throw new Error('?machine= names a folder of another site');
    const consoles = Math.min(Number(query.get('consoles') ?? 0) || 0, 8);
    const tabs: Tab[] = [];
    let shown: Tab | null = null;
    const show = (tab: Tab) => {
        shown = tab;
        tabs.forEach((one) => one.show(one === tab));
    };
    for (let index = 0; index <= consoles; index++) tabs.push(new Tab(index, show));
    const first = tabs[0] as Tab;
    element('tabs').hidden = tabs.length === 1;
    show(first);
    void showTitle(new URL('machine.json', folder));
    const vm = await Machine.open(folder, {
        consoles, shares: { [SHARE]: {} }, onProgress: progressBar(), assets: new URL('./', location.href),
    });
    vm.consoles.forEach((console, index) => {
        const { terminal } = tabs[index] as Tab;
        console.attach(terminal);
    });
    Object.assign(globalThis, { tinamou: vm, terminals: tabs.map(({ terminal }) => terminal) });
    bar.hidden = true;
    say('Running');
    connectButtons(vm, () => shown ?? first);
    connectFiles(vm);
    addEventListener('pagehide', () => vm.dispose());
}

main().catch(fail);
