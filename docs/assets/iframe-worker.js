// Browsers start no worker in a page that was opened from disk: there the search of the site runs in a hidden frame.
// The theme's "offline" plugin would load such a script from a CDN.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      const inside = this.frame.contentWindow;
      const script = inside.document.createElement("script");
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...scripts) =>
        scripts.reduce(
          (before, src) =>
            before.then(
              () =>
                new Promise((resolve, reject) => {
                  const imported = inside.document.createElement("script");
                  Object.assign(imported, { src, onload: resolve, onerror: reject });
                  inside.document.body.appendChild(imported);
                }),
            ),
          Promise.resolve(),
        );
      script.onload = () => {
        this.loaded = true;
        this.waiting.forEach((data) => this.postMessage(data));
      };
      script.src = new URL(url, location.href).href;
      inside.document.body.appendChild(script);
    }

    postMessage(data) {
      if (this.loaded) {
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
      } else {
        this.waiting.push(data);
      }
    }

    terminate() {
      this.frame.remove();
    }
  };
}
