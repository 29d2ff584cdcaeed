// A guest in a page of headless Chromium: what its console says, and typing.

// Nothing but the page's own server is to be reached; CI's machines run it as root.
export const OPTIONS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

// How many times slower than usual this machine may be.
const slow = Number(process.env.SLOW ?? 1);

export class Guest {
    constructor(page) {
        this.page = page;
        this.seen = 0;
    }

    // Starts the emulator in a new page, with files of the server and arguments.
    static async start(browser, url, files, args) {
        const page = await browser.newPage();
        page.on('pageerror', (error) => console.log(`page: ${error}`));
        const query = new URLSearchParams(args.map((arg) => ['arg', arg]));
        await page.goto(`${url}?files=${files}&${query}`);
        return new Guest(page);
    }

    // The same again, as a user who reloads the page.
    async reload() {
        await this.page.reload();
        this.seen = 0;
    }

    text() {
        return this.page.evaluate(() => document.getElementById('console').textContent);
    }

    // Waits for `what` behind what was found last; returns the text up to it.
    async expect(what, seconds) {
        const until = Date.now() + seconds * slow * 1000;
        for (;;) {
            const text = (await this.text()).slice(this.seen);
            const at = text.indexOf(what);
            if (at >= 0) {
                this.seen += at + what.length;
                return text.slice(0, at);
            }
            if (Date.now() > until) throw new Error(`no ${what}; the page ends with:\n${text.slice(-800)}`);
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }

    type(text) {
        return this.page.evaluate((keys) => window.type(keys), text);
    }

    async shell(command, seconds = 60) {
        await this.type(`${command}; echo E""ND\n`);
        return this.expect('END', seconds);
    }

    // The emulator's exit status.
    async ended(seconds = 30) {
        const options = { timeout: seconds * 1000 * slow };
        await this.page.waitForFunction(() => window.ended !== null, null, options);
        return this.page.evaluate(() => window.ended);
    }
}
