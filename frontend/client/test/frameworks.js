// What a page of hooks.test.mjs builds components with: the same modules as the hooks use.
import * as React from 'react';
import { createRoot } from 'react-dom/client';
import * as Vue from 'vue';

export { React, createRoot, Vue };
